"""Shared parts: one throw-away user, one client, a runtime laid down once, devices with a home each."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path

import pytest

from edge_ecg.deploy.layout import Home
from edge_ecg.deploy.remote.pins import pins
from edge_ecg.deploy.remote.probe import Python
from edge_ecg.deploy.remote.runtime import Runtime, make_runtime, own_wheel
from edge_ecg.deploy.remote.wheelhouse import Target, fill
from edge_ecg.errors import EdgeEcgError

from .device import DEVICE_PYTHON, Device, make_user_tree, unpack_runtime, variant
from .sshd import Client, Sshd, User, needs_sshd


def fast_folder() -> str:
    """In memory where that is possible: everything is synced all the time, which a busy disk makes slow."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        return "/tmp"
    found = os.statvfs(shared)
    return "/tmp" if found.f_flag & os.ST_NOEXEC or found.f_bavail * found.f_frsize < 2 << 30 else str(shared)


@pytest.fixture(scope="session")
def base() -> Iterator[Path]:
    """A folder that another user can reach (pytest's own are closed to others), with short paths."""
    needs_sshd()
    folder = Path(tempfile.mkdtemp(prefix="eecg-", dir=fast_folder()))
    folder.chmod(0o755)
    (folder / "no-keys").mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def user(base: Path) -> Iterator[User]:
    user = User.make(base / "user")
    yield user
    user.remove()


@pytest.fixture(scope="session")
def client(base: Path) -> Client:
    return Client(base / "client")


@pytest.fixture
def clean_env(monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    """No keys, agents or homes of whoever runs the tests."""
    for name in ("SSH_AUTH_SOCK", "EDGE_ECG_HOME", "EDGE_ECG_RELEASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EDGE_ECG_TRUSTED_KEYS", str(base / "no-keys"))


@pytest.fixture(scope="session")
def device_python() -> Python:
    """The system's Python: what a user without rights can run."""
    code = "import os, sys, venv, ensurepip; print(*sys.version_info[:2], os.confstr('CS_GNU_LIBC_VERSION'))"
    argv = [str(DEVICE_PYTHON), "-c", code]
    try:
        told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"{DEVICE_PYTHON} with venv is needed as the device's: apt install python3-venv")
    version = (int(told[0]), int(told[1]))
    if version < (3, 11):
        pytest.skip(f"{DEVICE_PYTHON} is {version}: as the device's it must be 3.11 or newer")
    glibc = told[3].split(".")
    return Python(str(DEVICE_PYTHON), version, "", 64, (int(glibc[0]), int(glibc[1])), True)


@pytest.fixture(scope="session")
def wheelhouse(device_python: Python) -> Path:
    """The pinned packages, downloaded once and kept."""
    folder = Path(os.environ.get("EDGE_ECG_WHEELHOUSE") or Path.home() / ".cache/edge-ecg/test-wheelhouse")
    try:
        fill(folder, pins(), Target.of(device_python, os.uname().machine))
    except EdgeEcgError as error:
        pytest.skip(f"no wheels of the runtime here, and PyPI is out of reach: {error}")
    return folder


@pytest.fixture(scope="session")
def runtime(base: Path, device_python: Python) -> Runtime:
    """What flash will want on these devices."""
    folder = base / "wheel"
    folder.mkdir()
    return make_runtime(device_python, os.uname().machine, own_wheel(folder))


@pytest.fixture(scope="session")
def seed(base: Path, runtime: Runtime, wheelhouse: Path, device_python: Python) -> Path:
    """That runtime, laid down once; a device's is a link to it."""
    wheels = fill(wheelhouse, runtime.requirements, Target.of(device_python, os.uname().machine))
    folder = base / "runtimes" / runtime.id
    folder.parent.mkdir()
    unpack_runtime(folder, [*wheels, runtime.wheel], more=Path(__file__).with_name("kill_at.py"))
    return folder


@pytest.fixture(scope="session")
def shipped() -> Path:
    return Path(str(files("edge_ecg") / "models" / "stress.ecgb"))


@pytest.fixture(scope="session")
def old_bundle(base: Path, shipped: Path) -> Path:
    return variant(shipped, base / "old.ecgb", "1.0.0")


@pytest.fixture(scope="session")
def new_bundle(base: Path, shipped: Path) -> Path:
    return variant(shipped, base / "new.ecgb", "1.1.0")


MakeDevice = Callable[..., Device]


@pytest.fixture(scope="session")
def make_device(base: Path, user: User, client: Client, seed: Path) -> Iterator[MakeDevice]:
    """``make_device(like=None, seeded=True, env={}, trusting=False)``: a device.

    ``like``: with a copy of that one's home; ``trusting``: with a folder for trusted keys of its own.
    """
    made: list[Device] = []

    def make(
        like: Device | None = None,
        *,
        seeded: bool = True,
        env: Mapping[str, str] | None = None,
        trusting: bool = False,
    ) -> Device:
        number = len(made)
        folder = base / f"d{number}"
        folder.mkdir()
        root = folder / "home"
        if like is not None:
            make_user_tree(like.home.root, root, user)
        else:
            root.mkdir()
            if seeded:
                (root / "runtimes").mkdir()
                (root / "runtimes" / seed.name).symlink_to(seed)
            subprocess.run(["chown", "-hR", user.name, str(root)], check=True)
        plan = folder / "kill"
        keys = base / "no-keys"
        if trusting:
            keys = folder / "config" / "trusted_keys"
            keys.mkdir(parents=True)
            for one in (keys.parent, keys):
                user.own(one)
        known = {
            "EDGE_ECG_HOME": root,
            "EDGE_ECG_KILL_AT": plan,
            "EDGE_ECG_TRUSTED_KEYS": keys,
            **(env or {}),
        }
        line = "SetEnv " + " ".join(f"{name}={value}" for name, value in known.items())
        sshd = Sshd(folder / "sshd", user, [line]).start(client.public)
        name = client.add(f"device{number}", sshd)
        made.append(Device(name, Home(root), sshd, client, plan))
        return made[-1]

    yield make
    for device in made:
        for proxy in device.proxies:
            proxy.close()
        device.sshd.stop()


@pytest.fixture(scope="session")
def flashed(make_device: MakeDevice, old_bundle: Path) -> Device:
    """A device that runs the old model; others start as copies of it."""
    device = make_device()
    assert device.call("flash", str(old_bundle)) == 0
    assert device.running() == "1.0.0"
    return device
