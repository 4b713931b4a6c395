"""``sim:`` addresses: a virtual device in this process, by its own bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_ecg.errors import EdgeEcgError, UsageError
from edge_ecg.samples import SampleBlock, SourceEvent
from edge_ecg.session import Session
from edge_ecg.signal.resample import Resampler
from edge_ecg.sources import Source, open_source
from edge_ecg.sources.recording_signal import RecordingSignal
from edge_ecg.sources.simulated import VirtualTransport
from edge_ecg.sources.transport import TransportLostError
from edge_ecg.sources.virtual import VirtualDevice, parse_faults
from edge_ecg_bridge.emulators import Reservoir
from edge_ecg_bridge.synthetic import STORIES, SyntheticEcg


def take(source: Source, n: int) -> np.ndarray:
    parts, have = [], 0
    for item in source:
        if isinstance(item, SampleBlock):
            parts.append(item.ecg_mv)
            have += len(item)
            if have >= n:
                break
    return np.concatenate(parts)[:n]


@pytest.mark.parametrize(
    ("address", "device", "fs_hz"),
    [
        ("sim:?speed=max", "simulated shimmer3", 256.0),
        ("sim:shimmer3?speed=max&rate=512&firmware=0.11.0", "simulated shimmer3", 512.0),
        ("sim:text?speed=max", "simulated text", 250.0),
        ("sim:text?speed=max&fs=500&line=adc", "simulated text", 500.0),
        ("sim:shimmer3r?speed=max", "simulated shimmer3", 256.0),
        (
            "sim:shimmer3?speed=max&story=rest:20,stress:30,stand&hrv=60&lfhf=2&noise=0.02",
            "simulated shimmer3",
            256.0,
        ),
    ],
)
def test_kinds(address: str, device: str, fs_hz: float) -> None:
    with open_source(address) as source:
        assert source.info.device == device
        assert source.info.fs_hz == pytest.approx(fs_hz, rel=1e-6)
        assert source.info.address == address
        assert len(take(source, 2000)) == 2000


def test_the_signal_is_the_synthetic_one_and_the_seed_counts() -> None:
    with open_source("sim:?speed=max&seed=9") as source:
        ecg = take(source, 5000)
    truth = Reservoir(SyntheticEcg(STORIES["rest-stress"], seed=9)(256.0)).take(5000)
    assert np.abs(ecg - truth[:5000]).max() < 1e-4
    with open_source("sim:?speed=max&seed=10") as source:
        assert not np.array_equal(take(source, 5000), ecg)


@pytest.mark.parametrize("device", [None, "shimmer3"])
def test_real_time_follows_the_clock(device: str | None) -> None:
    """A clock that runs 50 times too fast brings the samples 50 times sooner."""
    import time

    with open_source("sim:", device=device, clock=lambda: time.monotonic() * 50.0) as source:
        begin = time.monotonic()
        blocks = []
        for item in source:
            if isinstance(item, SampleBlock):
                blocks.append(item)
                if item.end_s > 20.0:
                    break
        took = time.monotonic() - begin
    assert 0.35 < took < 5.0
    assert sum(block.gap_before for block in blocks) == 0


@pytest.mark.parametrize(
    ("address", "device", "what"),
    [
        ("sim:toaster", None, "no virtual device 'toaster'"),
        ("sim:text", "shimmer3", "a simulated text, not a shimmer3"),
        ("sim:?hr=500", None, "hr=500"),
        ("sim:?story=divorce", None, "no story .divorce."),
        ("sim:?firmware=new", None, "no firmware version"),
        ("sim:text?line=xml", None, "no line format"),
        ("sim:?adc_bits=12", None, "unknown option"),
        ("sim:?from=sim:", None, "not a recording"),
        ("sim:?speed=0", None, "speed=0"),
        ("sim:?fault=toaster", None, "no fault 'toaster'"),
        ("sim:?fault=stall@never", None, "does not say when"),
        ("sim:text?fault=already-streaming", None, "cannot have all of these faults"),
        ("sim:?fault=stale-bluez", None, "no fault stale-bluez"),
        ("sim:?noise=-1", None, "noise=-1"),
    ],
)
def test_wrong_usage(address: str, device: str | None, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        open_source(address, device=device)


def test_faults_in_an_address() -> None:
    address = "sim:shimmer3?speed=max&fault=bit-flip@2,duplicate@3,stall@4:0.5,trickle@0"
    with open_source(address) as source:
        blocks = []
        for item in source:
            if isinstance(item, SampleBlock):
                blocks.append(item)
                if item.end_s > 8.0:
                    break
    gaps = [(round(block.start_s, 1), block.gap_before) for block in blocks if block.gap_before]
    assert [lost for _, lost in gaps] == [1, pytest.approx(128, abs=1)]
    truth = Reservoir(SyntheticEcg(STORIES["rest-stress"])(256.0)).take(3000)
    for block in blocks:
        part = truth[block.first_sample : block.first_sample + len(block)]
        assert np.abs(block.ecg_mv - part).max() < 1e-4


def test_an_unplugged_virtual_device_is_a_lost_link() -> None:
    """The same device comes back after five seconds; going on with it is the source's matter."""
    with open_source("sim:shimmer3?speed=max&fault=unplug@6") as source:
        lost = next(item for item in source if isinstance(item, SourceEvent) and item.event == "lost")
    assert 5.5 < lost.at_s < 6.5
    assert "unplugged" in str(lost.detail["why"])


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Twelve seconds of synthetic ECG at 500 Hz, as CSV in millivolts."""
    path = tmp_path / "rec.csv"
    ecg = Reservoir(SyntheticEcg(seed=1)(500.0)).take(6000)
    times = np.arange(len(ecg)) / 500.0
    lines = [f"{t:.3f},{x:.6f}" for t, x in zip(times, ecg, strict=True)]
    path.write_text("time_s,ecg_mv\n" + "\n".join(lines) + "\n")
    return path


def read_all(source: Source) -> tuple[np.ndarray, list[str]]:
    blocks, events = [], []
    for item in source:
        if isinstance(item, SourceEvent):
            events.append(item.event)
        else:
            blocks.append(item.ecg_mv)
    return np.concatenate(blocks), events


def test_a_recording_through_the_device_is_the_recording(recording: Path) -> None:
    with open_source(f"file:{recording}?speed=max") as source:
        plain, _ = read_all(source)
        resampler = Resampler(source.info.fs_hz, 256.0)
    truth = np.concatenate([resampler.process(plain), resampler.flush()])
    with open_source(f"sim:shimmer3?speed=max&from=file:{recording}") as source:
        ecg, events = read_all(source)
    assert events[0] == "connected"
    assert events[-1] == "ended"
    assert len(ecg) == len(truth) == 3072
    assert np.abs(ecg - truth).max() < 1e-4  # half a step of the converter


@pytest.mark.parametrize("firmware", ["0.11.0", "0.15.4"])
def test_a_gap_of_the_recording_is_a_gap_of_the_device(tmp_path: Path, firmware: str) -> None:
    ecg = Reservoir(SyntheticEcg(seed=1)(500.0)).take(6000)
    ecg[3000:3500] = np.nan
    path = tmp_path / "gap.csv"
    path.write_text("time_s,ecg_mv\n" + "\n".join(f"{i / 500:.3f},{x:.6f}" for i, x in enumerate(ecg)) + "\n")
    with open_source(f"sim:shimmer3?speed=max&firmware={firmware}&from=file:{path}") as source:
        blocks = [item for item in source if isinstance(item, SampleBlock)]
    gaps = [(block.first_sample, block.gap_before) for block in blocks if block.gap_before]
    assert gaps == [(3500 * 256 // 500, 256)]
    assert blocks[-1].end_s == pytest.approx(12.0, abs=1.5 / 256)


def test_a_recording_loops(recording: Path) -> None:
    with open_source(f"sim:shimmer3?speed=max&loop=yes&from=file:{recording}") as source:
        ecg = take(source, 3 * 3072)
    np.testing.assert_array_equal(ecg[:3072], ecg[3072:6144])


def test_a_missing_recording_is_found_at_once() -> None:
    with pytest.raises(EdgeEcgError) as raised:
        open_source("sim:?from=file:/nowhere/rec.edf")
    assert raised.value.exit_code == 5
    with pytest.raises(UsageError, match="not a recording"):
        RecordingSignal.parse("/dev/ttyUSB0")


def test_a_device_can_be_connected_again_in_its_own_time() -> None:
    """After five seconds the unplugged device is back; what it measures then goes on from there."""
    device = VirtualDevice("text", SyntheticEcg(seed=2), faults=parse_faults("unplug@3:5"))
    first = VirtualTransport(device.build(), speed=0.0)
    heard = b""
    with pytest.raises(TransportLostError, match="unplugged"):  # noqa: PT012
        while True:
            heard += first.read(0.05, 0.02)
    with pytest.raises(TransportLostError, match="unplugged"):
        first.again()
    with pytest.raises(TransportLostError, match="unplugged"):
        first.write(b"x")
    first.let_pass(6.0)
    second = first.again()
    assert second.now() == first.now() > 8.0
    second.close()
    more = first.again().read(0.05)
    begin, end = (int(text.splitlines()[0].split(b",")[0]) for text in (heard, more))
    assert 8_000_000 <= end - begin < 10_000_000


@pytest.mark.parametrize(
    ("address", "unseen_ms"),
    [
        ("sim:shimmer3", None),
        ("sim:bitalino", None),
        ("sim:text?line=us,adc", None),
        ("sim:text?line=adc", 1000),
        ("sim:openview", 100),
    ],
)
def test_a_session_says_which_losses_its_device_cannot_show(address: str, unseen_ms: float | None) -> None:
    with open_source(f"{address}{'&' if '?' in address else '?'}speed=max") as source:
        start = next(iter(Session(source, None)))
    assert start.to_json()["unseen_loss_ms"] == unseen_ms
