"""Named faults: each does what its sentence says, and its log says what it did."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg_bridge.emulators import Reservoir, Shimmer3Emulator, TextEmulator, Unit, joined
from edge_ecg_bridge.faults import (
    FAULTS,
    FaultyEmulator,
    FaultySignal,
    Harm,
    Layer,
    LinkState,
    device_arguments,
    parse_faults,
)
from edge_ecg_bridge.faults.stages import BANNER, STAGES
from edge_ecg_bridge.shimmer3 import Settings, ShimmerSession
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=3)
NAMES = (
    "unplug, half-packet, bit-flip, duplicate, reorder, time-wrap, time-back, rate-off, burst, stall, "
    "lead-off, saturate, mains, motion, ble-drop, stale-bluez, boot-banner, already-streaming, trickle"
)


def packet(number: int) -> bytes:
    """Its number, twice, so that no damaged one reads as another."""
    return f"<{number:06d}{999999 - number:06d}>".encode()


class Counting:
    """A device that sends one numbered packet of two samples every tenth of a second."""

    ended = False

    def __init__(self) -> None:
        self.made = 0
        self.next_due_s: float | None = 0.0
        self.lost_links = 0
        self.heard = b""

    def receive(self, data: bytes, now_s: float) -> None:
        self.heard += data

    def units(self, now_s: float) -> list[Unit]:
        due = int(now_s * 10 + 1e-6) + 1 - self.made
        numbers = range(self.made, self.made + due)
        self.made += due
        self.next_due_s = self.made / 10
        return [Unit(packet(number), 2) for number in numbers]

    def bytes_to_send(self, now_s: float) -> bytes:
        return joined(self.units(now_s))

    def link_lost(self) -> None:
        self.lost_links += 1


def listen(faults: str, until_s: float = 20.0, step_s: float = 0.1) -> tuple[list[bytes], FaultyEmulator]:
    device = FaultyEmulator(Counting(), parse_faults(faults))
    steps = round(until_s / step_s)
    return [device.bytes_to_send(i * step_s) for i in range(steps)], device


def packets(pieces: list[bytes]) -> list[int]:
    text = b"".join(pieces).decode()
    return [int(part[:6]) for part in text.split("<") if len(part) == 13]


def test_all_names_of_the_issue_and_no_other() -> None:
    assert ", ".join(FAULTS) == NAMES
    for fault in FAULTS.values():
        assert fault.sentence.endswith(".")
        assert len(fault.sentence) > 20
    assert len({fault.sentence for fault in FAULTS.values()}) == len(FAULTS)
    link = {name for name, fault in FAULTS.items() if fault.layer is Layer.LINK}
    assert set(STAGES) == link - {"unplug", "trickle"}


@pytest.mark.parametrize(
    ("text", "at_s", "every_s", "seconds"),
    [
        ("stall", 12.0, 20.0, 3.0),
        ("stall@5", 5.0, math.inf, 3.0),
        ("stall@5:0.5", 5.0, math.inf, 0.5),
        (" Stall@5 ", 5.0, math.inf, 3.0),
    ],
)
def test_when_a_fault_strikes(text: str, at_s: float, every_s: float, seconds: float) -> None:
    (plan,) = parse_faults(text)
    assert (plan.name, plan.at_s, plan.every_s, plan.seconds) == ("stall", at_s, every_s, seconds)
    assert not plan.active(at_s - 0.01)
    assert plan.active(at_s)
    assert plan.active(at_s + seconds - 0.01)
    assert not plan.active(at_s + seconds)
    assert plan.active(at_s + 20.0) == (every_s == 20.0)
    assert plan.strikes(at_s + 41.0) == (3 if every_s == 20.0 else 1)


@pytest.mark.parametrize(
    "text", ["toaster", "stall@", "stall@x", "stall@-1", "stall@5:x", "stall@nan", "stall@5:nan"]
)
def test_what_is_no_fault(text: str) -> None:
    with pytest.raises(ValueError, match=r"There is no fault|does not say when"):
        parse_faults(text)


def test_without_faults_nothing_changes() -> None:
    pieces, device = listen("")
    assert packets(pieces) == list(range(200))
    assert device.truth.damages == []
    assert device.truth.sent == 400


def harmed(device: FaultyEmulator) -> list[tuple[int, int, Harm]]:
    return [(damage.first, damage.samples, damage.harm) for damage in device.truth.damages]


def test_half_packet() -> None:
    pieces, device = listen("half-packet@5")
    assert packets(pieces) == [n for n in range(200) if n != 50]
    assert harmed(device) == [(100, 2, Harm.LOST)]
    assert 3 <= len(pieces[50]) < 11


def test_bit_flip() -> None:
    pieces, device = listen("bit-flip@5")
    whole, _ = listen("")
    difference = np.frombuffer(b"".join(pieces), np.uint8) ^ np.frombuffer(b"".join(whole), np.uint8)
    assert np.unpackbits(difference).sum() == 1
    assert np.flatnonzero(difference)[0] // len(packet(0)) == 50
    assert harmed(device) == [(100, 2, Harm.ALTERED)]


def test_duplicate_reorder_and_time_back() -> None:
    assert packets(listen("duplicate@5")[0])[49:53] == [49, 50, 50, 51]
    pieces, device = listen("reorder@5")
    assert packets(pieces)[49:53] == [49, 51, 50, 52]
    assert harmed(device) == [(100, 2, Harm.LATE)]
    back, device = listen("time-back@5")
    assert packets(back)[49:53] == [49, 50, 45, 51]
    assert harmed(device) == []


def test_one_fault_several_times() -> None:
    pieces, device = listen("half-packet@5,half-packet@9,unplug@12:1,unplug@15:1")
    assert packets(pieces) == [n for n in range(200) if n not in {50, 90, *range(120, 130), *range(150, 160)}]
    assert device.truth.strikes == {"half-packet": 2, "unplug": 2}
    arguments = device_arguments(Shimmer3Emulator, parse_faults("lead-off@3:1,lead-off@8:1"), None)
    assert [arguments["electrode_off"](t_s) for t_s in (3.5, 5.0, 8.5)] == [True, False, True]


def test_stall_and_burst() -> None:
    pieces, device = listen("stall@5:2")
    assert packets(pieces) == [*range(50), *range(70, 200)]
    assert device.truth.harmed(Harm.LOST) == set(range(100, 140))
    pieces, device = listen("burst@5:2")
    assert packets(pieces) == list(range(200))
    assert pieces[50:70] == [b""] * 20
    assert packets([pieces[70]]) == list(range(50, 71))
    assert harmed(device) == []


def test_a_burst_ends_by_itself() -> None:
    device = FaultyEmulator(Counting(), parse_faults("burst@0:2"))
    assert device.bytes_to_send(0.0) == b""
    assert device.bytes_to_send(0.5) == b""
    device.device.next_due_s = None
    assert device.next_due_s == pytest.approx(2.0)


def test_trickle_loses_nothing_and_says_that_there_is_more() -> None:
    device = FaultyEmulator(Counting(), parse_faults("trickle"))
    data, pieces = device.bytes_to_send(3.0), 1
    while device.next_due_s == -math.inf:
        piece = device.bytes_to_send(3.0)
        assert 1 <= len(piece) <= 7
        data += piece
        pieces += 1
    assert packets([data]) == list(range(31))
    assert pieces > 31


def test_boot_banner() -> None:
    assert listen("boot-banner")[0][0] == BANNER + packet(0)
    assert listen("boot-banner@5")[0][50] == BANNER + packet(50)


@pytest.mark.parametrize(
    ("fault", "state"),
    [("unplug", LinkState.UNPLUGGED), ("ble-drop", LinkState.DROPPED), ("stale-bluez", LinkState.STALE)],
)
def test_links_that_go_and_come_back(fault: str, state: LinkState) -> None:
    pieces, device = listen(f"{fault}@5:3")
    assert packets(pieces) == [*range(50), *range(80, 200)]
    assert device.truth.harmed() == set(range(100, 160))
    assert device.device.lost_links == 1
    assert device.truth.away == [(pytest.approx(5.0), pytest.approx(8.0))]
    assert device.state(4.9) is LinkState.UP
    assert device.state(5.1) is state
    device.receive(b"x", 6.0)
    assert device.device.heard == b""
    device.receive(b"y", 9.0)
    assert device.device.heard == b"y"


@given(
    names=st.lists(st.sampled_from(sorted(STAGES)), unique=True, max_size=5),
    steps=st.lists(st.floats(0.01, 1.0), min_size=5, max_size=60),
    seed=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_any_mixture_is_logged_to_the_sample(names: list[str], steps: list[float], seed: int) -> None:
    """A packet that is not in the log arrives whole; one that is logged as lost does not."""
    plans = parse_faults(",".join(f"{name}@{2 + i}" for i, name in enumerate(names)))
    device = FaultyEmulator(Counting(), plans, seed=seed)
    now_s, data = 0.0, b""
    for step_s in [*steps, 30.0, 0.5]:  # at the end nothing is held back any more
        now_s += step_s
        data += joined(device.units(now_s))
    broken = {n // 2 for n in device.truth.harmed(Harm.LOST, Harm.ALTERED)}
    for number in range(device.device.made - 5):
        assert (packet(number) in data) == (number not in broken)


# -- the signal ----------------------------------------------------------------------------------------


def rechunked(size: int) -> Callable[[float], object]:
    def signal(fs_hz: float) -> object:
        source = Reservoir(ECG(fs_hz))
        while True:
            yield source.take(size)

    return signal


@pytest.mark.parametrize("fault", ["lead-off", "saturate", "mains", "motion"])
def test_faults_of_the_signal_come_at_their_time_in_any_chunks(fault: str) -> None:
    plans = parse_faults(f"{fault}@4:2")
    clean = Reservoir(ECG(250.0)).take(2500)
    found = [
        Reservoir(FaultySignal(signal, plans, seed=1)(250.0)).take(2500)  # type: ignore[arg-type]
        for signal in (ECG, rechunked(1), rechunked(77))
    ]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    changed = found[0] != clean
    assert not changed[:1000].any()
    assert not changed[1500:].any()
    assert changed[1000:1500].mean() > 0.9
    assert np.isfinite(found[0]).all()


def test_a_moving_wearer_shakes_the_accelerometer() -> None:
    (plan,) = parse_faults("motion@4:2")
    arguments = device_arguments(Shimmer3Emulator, (plan,), None)
    felt = arguments["motion"](np.array([1.0, 4.3, 5.1, 7.0]))
    np.testing.assert_array_equal(felt[[0, 3]], [[0, 0, 1], [0, 0, 1]])
    assert np.abs(felt[1:3] - [0, 0, 1]).max() > 0.1


def test_faults_of_the_device() -> None:
    plans = parse_faults("time-wrap@10,rate-off,already-streaming,lead-off@3:1,mains")
    arguments = device_arguments(Shimmer3Emulator, plans, lambda seconds: 2**24 - round(32768 * seconds))
    assert arguments["counter"] == 2**24 - 327680
    assert arguments["rate_error"] == 0.007
    assert arguments["already_streaming"]
    assert [arguments["electrode_off"](t_s) for t_s in (2.9, 3.0, 4.0)] == [False, True, False]
    with pytest.raises(ValueError, match="already_streaming"):
        device_arguments(TextEmulator, parse_faults("already-streaming"), None)
    with pytest.raises(ValueError, match="no counter"):
        device_arguments(TextEmulator, parse_faults("time-wrap"), None)


def test_the_counter_wraps_where_it_is_said_to(converse: Callable) -> None:
    device = Shimmer3Emulator(ECG, counter=2**24 - 5 * 32768)
    stamps: list[int] = []

    def look(data: bytes) -> bytes:
        if device.streaming and len(data) % 20 == 0:
            stamps.extend(int.from_bytes(data[i + 1 : i + 4], "little") for i in range(0, len(data), 20))
        return data

    said = converse(ShimmerSession(), device, until_s=8.0, damage=look)
    assert min(np.diff(stamps)) < -(2**23)
    assert said.lost == 0


def test_a_clock_that_is_wrong_sends_more_by_its_own_clock(converse: Callable) -> None:
    right = converse(ShimmerSession(), Shimmer3Emulator(ECG), until_s=60.0)
    fast = converse(ShimmerSession(), Shimmer3Emulator(ECG, rate_error=0.01), until_s=60.0)
    assert len(fast.ecg_mv) / len(right.ecg_mv) == pytest.approx(1.01, abs=0.001)
    assert fast.lost == 0


def test_lead_off_reaches_the_chips_comparators(converse: Callable) -> None:
    (plan,) = parse_faults("lead-off@3:2")
    device = Shimmer3Emulator(ECG, **device_arguments(Shimmer3Emulator, (plan,), None))
    said = converse(ShimmerSession(Settings(lead_off=True)), device, until_s=10.0)
    off = np.concatenate([block.lead_off for block in said.samples])
    assert off.nonzero()[0].tolist() == list(range(3 * 256, 5 * 256))
