"""The link dies after N bytes, for N over the whole of a flash; the device runs the old model or the new."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edge_ecg.deploy.remote.upload import sha256_of
from edge_ecg.errors import RemoteError

from .attempts import attempt
from .conftest import MakeDevice
from .cut_proxy import CutProxy
from .device import Device
from .processes import await_idle

pytestmark = pytest.mark.usefixtures("clean_env")

# The last step told while bytes flow: logging in, asking, sending, proving and switching.
STEPS = {"nothing", "connect", "runtime", "admit"}
_MANY = 100


@pytest.fixture(scope="module")
def marks(make_device: MakeDevice, flashed: Device, new_bundle: Path) -> list[int]:
    """How many bytes have gone through a whole link when each step is told, and in the end."""
    device = make_device(flashed)
    proxy = CutProxy(device.sshd.port)
    told: list[int] = []
    try:
        done = attempt(
            device, new_bundle, host=device.behind(proxy), on_step=lambda _: told.append(proxy.total)
        )
    finally:
        proxy.close()
    assert done.error is None
    assert device.running() == "1.1.0"
    return [0, *told, proxy.total]


def cut_at(device: Device, bundle: Path, count: int, *, again: bool) -> str:
    """Flash over a link that dies after so many bytes; returns the step that was told last."""
    proxy = CutProxy(device.sshd.port, count)
    try:
        done = attempt(device, bundle, host=device.behind(proxy))
    finally:
        proxy.close()
    # The last bytes only end the connection: nothing depends on them any more.
    assert isinstance(done.error, RemoteError) or (done.result and device.running() == "1.1.0"), (count, done)
    assert device.running() in {"1.0.0", "1.1.0"}, count
    if again:
        second = attempt(device, bundle)
        assert second.error is None, (count, second.error)
        assert device.running() == "1.1.0"
    return done.steps[-1] if done.steps else "nothing"


def try_all(
    counts: Sequence[int],
    make_device: MakeDevice,
    flashed: Device,
    bundle: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    again_every: int = 1,
) -> set[str]:
    reached = Counter(
        cut_at(make_device(flashed), bundle, count, again=number % again_every == 0)
        for number, count in enumerate(counts)
    )
    with capsys.disabled():
        told = ", ".join(f"{number} after `{step}`" for step, number in reached.items())
        print(f"\nlink cut: {len(counts)} cases, each with the old or the new model whole ({told})")
    return set(reached)


def test_link_cut_a_dozen_times(
    marks: list[int],
    make_device: MakeDevice,
    flashed: Device,
    new_bundle: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spans = [(begin, end) for begin, end in pairwise(marks) if end - begin > 64]
    counts = [begin + (end - begin) * part // 3 for begin, end in spans for part in (1, 2)]
    assert len(counts) >= 10
    assert try_all(counts, make_device, flashed, new_bundle, capsys, again_every=4) >= STEPS


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_link_cut_over_the_whole_transfer(
    marks: list[int],
    make_device: MakeDevice,
    flashed: Device,
    new_bundle: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    total, size = marks[-1], new_bundle.stat().st_size
    # A third over all of it, most of which is the bundle; the others where the talking is.
    spread = np.linspace(1, total - 1, _MANY // 3)
    before = np.linspace(1, total - size, _MANY // 2) * 0.9
    after = np.linspace(total - 0.1 * (total - size), total - 1, _MANY - len(spread) - len(before) + 2)
    counts = sorted({int(count) for count in (*spread, *before, *after)})
    assert len(counts) >= _MANY
    assert try_all(counts, make_device, flashed, new_bundle, capsys) >= STEPS


@pytest.mark.slow
def test_a_link_that_dies_without_a_word_is_noticed(
    marks: list[int], make_device: MakeDevice, flashed: Device, new_bundle: Path
) -> None:
    device = make_device(flashed)
    proxy = CutProxy(device.sshd.port, marks[-1] // 2, silent=True)
    alive = ("ServerAliveInterval=1", "ServerAliveCountMax=1")
    try:
        done = attempt(device, new_bundle, host=device.behind(proxy), ssh=alive)
    finally:
        proxy.close()
    assert isinstance(done.error, RemoteError)
    assert "lost" in done.error.what
    assert device.running() == "1.0.0"


def test_an_upload_goes_on_where_it_was_cut(
    marks: list[int], make_device: MakeDevice, flashed: Device, new_bundle: Path
) -> None:
    device, size = make_device(flashed), new_bundle.stat().st_size
    proxy = CutProxy(device.sshd.port, marks[-1] - size // 3, silent=True)
    part = device.home.incoming / f"{sha256_of(new_bundle)}.ecgb.part"
    host = device.behind(proxy)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(attempt, device, new_bundle, host=host)
        # On a real link the device has written what has come; here it lags behind, and would lose it.
        while not running.done() and not (part.exists() and part.stat().st_size >= size // 2):
            time.sleep(0.01)
        proxy.close()
        cut = running.result()
    assert isinstance(cut.error, RemoteError)
    assert "upload" not in cut.steps
    await_idle(device.sshd.user)
    there = part.stat().st_size
    assert size // 2 <= there < size
    again = attempt(device, new_bundle)
    assert again.error is None
    assert again.sent[0] == there
    assert not part.exists()
    assert device.running() == "1.1.0"
