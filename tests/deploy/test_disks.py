"""Disks that are full or read-only, on a small tmpfs: refused before, told during, the old model whole."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_ecg.deploy.layout import Home
from edge_ecg.deploy.remote.ssh import Remote
from edge_ecg.errors import RemoteError

from .attempts import attempt
from .conftest import MakeDevice
from .device import Device

pytestmark = pytest.mark.usefixtures("clean_env")

_SIZE = 80 << 20


class Disk:
    """A tmpfs over a device's home; what was there is there."""

    def __init__(self, device: Device) -> None:
        self.root = device.home.root
        kept = self.root.with_name("kept")
        self.root.rename(kept)
        self.root.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "none", str(self.root)], check=True)
        subprocess.run(["cp", "-a", f"{kept}/.", str(self.root)], check=True)

    def fill(self, leave: int) -> Path:
        """Leave so many bytes free; returns the file that takes the rest."""
        filler = self.root / "filler"
        found = os.statvfs(self.root)
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(4096, found.f_bavail * found.f_frsize - leave))
        return filler

    def read_only(self, yes: bool) -> None:
        subprocess.run(["mount", "-o", f"remount,{'ro' if yes else 'rw'}", str(self.root)], check=True)


@pytest.fixture
def device(make_device: MakeDevice, flashed: Device) -> Device:
    return make_device(flashed)


@pytest.fixture
def disk(device: Device) -> Iterator[Disk]:
    try:
        disk = Disk(device)
    except subprocess.CalledProcessError:
        pytest.skip("this machine lets nobody mount a tmpfs")
    yield disk
    subprocess.run(["umount", "-l", str(disk.root)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_refused_before_anything_is_sent(device: Device, disk: Disk, new_bundle: Path) -> None:
    filler = disk.fill(20 << 20)
    done = attempt(device, new_bundle)
    assert isinstance(done.error, RemoteError)
    assert "too full" in done.error.what
    assert "Nothing was sent" in done.error.why
    assert done.sent == []
    assert device.running() == "1.0.0"
    filler.unlink()
    assert attempt(device, new_bundle).error is None
    assert device.running() == "1.1.0"


@pytest.mark.parametrize("step", [pytest.param("runtime", marks=pytest.mark.slow), "upload"])
def test_a_disk_that_fills_meanwhile_leaves_the_old_model(
    device: Device, disk: Disk, new_bundle: Path, step: str
) -> None:
    fillers: list[Path] = []

    def fill(name: str) -> None:
        if name == step and not fillers:
            fillers.append(disk.fill(8192))

    done = attempt(device, new_bundle, on_step=fill)
    assert isinstance(done.error, RemoteError)
    assert "room" in done.error.what
    assert device.running() == "1.0.0"
    fillers[0].unlink()
    assert attempt(device, new_bundle).error is None
    assert device.running() == "1.1.0"


def test_a_disk_that_fills_during_an_upload_and_the_upload_goes_on(
    device: Device, disk: Disk, tmp_path: Path
) -> None:
    data = os.urandom(3 << 20)
    (tmp_path / "file").write_bytes(data)
    target = disk.root / "incoming" / "file"
    fillers: list[Path] = []

    def fill(count: int) -> None:
        if not fillers:
            fillers.append(disk.fill(1 << 20))

    with Remote(device.name, device.client.options()) as remote:
        with pytest.raises(RemoteError, match="has no room"):
            remote.put(tmp_path / "file", str(target), fill)
        assert not target.exists()
        fillers[0].unlink()
        sent: list[int] = []
        remote.put(tmp_path / "file", str(target), sent.append)
    assert sent[0] >= 1 << 19  # what had arrived before
    assert target.read_bytes() == data


def test_a_read_only_home(device: Device, disk: Disk, new_bundle: Path) -> None:
    disk.read_only(True)
    done = attempt(device, new_bundle)
    assert isinstance(done.error, RemoteError)
    assert "may not write" in done.error.what
    assert done.sent == []
    assert device.running() == "1.0.0"
    disk.read_only(False)
    assert attempt(device, new_bundle).error is None


@pytest.mark.slow
def test_a_disk_that_turns_read_only_meanwhile(device: Device, disk: Disk, new_bundle: Path) -> None:
    done = attempt(
        device, new_bundle, on_step=lambda name: disk.read_only(True) if name == "upload" else None
    )
    assert isinstance(done.error, RemoteError)
    assert "Read-only file system" in f"{done.error}"
    assert device.running() == "1.0.0"
    disk.read_only(False)
    assert attempt(device, new_bundle).error is None
    assert Home(disk.root).current.exists()
