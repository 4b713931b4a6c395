"""A damaged stream: no damaged packet is accepted, no good one is lost, and the count is right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg_bridge.emulators import FramedEmulator
from edge_ecg_bridge.emulators.base import Unit
from edge_ecg_bridge.emulators.framed import Converter
from edge_ecg_bridge.framed import DataFrame, FramedSession, FrameType, seal
from edge_ecg_bridge.stream import BridgeError, Samples
from edge_ecg_bridge.synthetic import SyntheticEcg

NOISY = SyntheticEcg(noise_mv=0.05, wander_mv=0.3, mains_mv=0.1, seed=7)
WIDE = Converter(pv_per_count=50_000, zero=0, low=-(2**23), high=2**23 - 1, sample_bytes=3)
SECONDS = 12.0
TURN = 2**32


def units_of(*, sample_bytes: int = 3, even: bool = True) -> list[Unit]:
    """What a board with a noisy ECG on a large offset sends in 12 s; its counter and its clock wrap."""
    device = FramedEmulator(
        NOISY,
        converter=WIDE if sample_bytes == 3 else Converter(),
        electrode_offset_mv=30.0 if sample_bytes == 3 else 0.3,
        counter=TURN - 1500,
        clock_us=TURN - 7_000_000,
        run=0xEC,
        even=even,
    )
    device.units(0.0)
    device.units(0.9)  # the first that is kept is followed by an info frame soon
    return device.units(SECONDS)


UNITS = units_of()
STREAM = b"".join(unit.data for unit in UNITS)
ENDS = np.cumsum([len(unit.data) for unit in UNITS])


def listen(pieces: Iterable[bytes]) -> tuple[FramedSession, list[Samples]]:
    session = FramedSession()
    session.start(0.0)
    for piece in pieces:
        session.receive(piece, 0.0)
    return session, [event for event in session.events() if isinstance(event, Samples)]


def numbers(blocks: Sequence[Samples]) -> np.ndarray:
    return np.concatenate([block.first_sample + np.arange(len(block.ecg_mv)) for block in blocks])


def joined(blocks: Sequence[Samples], name: str) -> np.ndarray:
    return np.concatenate([getattr(block, name) for block in blocks])


UNHARMED = listen([STREAM])[1]
TRUTH = joined(UNHARMED, "ecg_mv")


def agree_with_the_truth(blocks: Sequence[Samples]) -> np.ndarray:
    """All samples are right at their numbers, and every hole is counted; the numbers."""
    found = numbers(blocks)
    np.testing.assert_array_equal(joined(blocks, "ecg_mv"), TRUTH[found])
    assert sum(block.gap_before for block in blocks) == found[-1] + 1 - len(found)
    assert (np.diff(found) > 0).all()
    return found


def test_unharmed_is_all_of_it() -> None:
    assert numbers(UNHARMED).tolist() == list(range(len(TRUTH)))
    assert abs(len(TRUTH) - 11 * 256) <= 8


def intact_samples(cut: int, width: int) -> int:
    """Samples in the data frames after the first info frame that a cut of STREAM leaves whole."""
    begins = ENDS - [len(unit.data) for unit in UNITS]
    whole = (cut >= ENDS) | (begins >= cut + width)
    first = next(i for i, unit in enumerate(UNITS) if unit.data[2] == FrameType.INFO)
    return sum(unit.samples for i, unit in enumerate(UNITS) if whole[i] and i > first)


def test_400_random_cuts() -> None:
    """Bytes are lost anywhere, 1 to 400 of them: every whole packet is taken and no other."""
    rng = np.random.default_rng(1)
    for _ in range(400):
        cut, width = int(rng.integers(3000, len(STREAM) - 3000)), int(rng.integers(1, 400))
        found = agree_with_the_truth(listen([STREAM[:cut], STREAM[cut + width :]])[1])
        # Where the bytes before the cut are those that it took from another frame, that one is whole again.
        assert intact_samples(cut, width) <= len(found) <= intact_samples(cut, width) + 4


def test_400_bursts_of_wrong_bytes() -> None:
    """Noise in place of 2 to 300 bytes, also such as looks like the beginning of frames."""
    rng = np.random.default_rng(2)
    for i in range(400):
        cut, width = int(rng.integers(3000, len(STREAM) - 3000)), int(rng.integers(2, 300))
        noise = rng.integers(0, 256, width, dtype=np.uint8)
        if i % 2:
            noise[: width // 4 * 4] = np.tile([0xEC, 0x47, 0x11, 0xFF], width // 4)
        damaged = STREAM[:cut] + noise.tobytes() + STREAM[cut + width :]
        found = agree_with_the_truth(listen([damaged])[1])
        # A byte of noise may be the right one; what is whole must be there.
        assert len(found) >= intact_samples(cut, width)


@pytest.mark.parametrize("even", [True, False])
@given(sizes=st.lists(st.integers(1, 300), max_size=80), loss=st.sets(st.integers(0, 700), max_size=30))
@settings(max_examples=40, deadline=None)
def test_any_pieces_give_the_same(even: bool, sizes: list[int], loss: set[int]) -> None:
    units = units_of(sample_bytes=2, even=even)
    stream = b"".join(unit.data for i, unit in enumerate(units) if i not in loss)
    stream = stream[:5000] + b"\xec" + stream[5001:]
    ends = np.cumsum([0, *sizes]).tolist()
    pieces = [stream[a:b] for a, b in zip(ends, [*ends[1:], None], strict=True)]
    one, other = listen([stream]), listen(pieces)
    assert numbers(other[1]).tolist() == numbers(one[1]).tolist()
    for name in ("ecg_mv", "saturated") if even else ("ecg_mv", "saturated", "time_s"):
        np.testing.assert_array_equal(joined(other[1], name), joined(one[1], name))
    assert sum(b.gap_before for b in other[1]) == sum(b.gap_before for b in one[1])
    assert other[0].counters == one[0].counters


FAULTS = st.sampled_from(["lose", "double", "swap", "flip", "cut", "insert", "replay"])


@given(faults=st.lists(st.tuples(FAULTS, st.integers(60, 600), st.integers(0, 2**31)), max_size=25))
# Derandomized: of frames damaged at several places one in 65536 has a right CRC.
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_faults_give_right_samples_at_right_numbers(faults: list[tuple[str, int, int]]) -> None:
    units = [unit.data for unit in UNITS]
    for kind, at, dice in faults:
        at = min(at, len(units) - 2)
        if not units[at]:
            continue
        where, bit = dice % len(units[at]), 1 << dice // 256 % 8
        if kind == "lose":
            del units[at]
        elif kind == "double":
            units.insert(at, units[at])
        elif kind == "swap":
            units[at : at + 2] = units[at : at + 2][::-1]
        elif kind == "flip":
            units[at] = units[at][:where] + bytes((units[at][where] ^ bit,)) + units[at][where + 1 :]
        elif kind == "cut":
            units[at] = units[at][:where]
        elif kind == "insert":
            units[at] = units[at][:where] + dice.to_bytes(4, "big") + units[at][where:]
        else:
            units[at:at] = units[at - 40 : at]
    session, blocks = listen(units)
    agree_with_the_truth(blocks)
    assert session.counters["restarts"] == 0


def test_a_right_crc_is_not_enough() -> None:
    """Frames whose CRC is right by chance: another number, another time, another length."""
    units = [unit.data for unit in UNITS]
    at = 200
    frame = DataFrame.parse(units[at][4:-2])
    forged = [
        frame._replace(first=(frame.first + 100) % TURN),
        frame._replace(first=(frame.first + 2**20) % TURN),
        frame._replace(time_us=(frame.time_us + 10**6) % TURN),
        frame._replace(body=frame.body + b"\0"),
        frame._replace(run=frame.run + 1),
    ]
    before_info = listen(units)[0].counters["packets_without_info"]
    for bad in forged:
        session, blocks = listen([*units[:at], bad.frame(), *units[at + 1 :]])
        found = agree_with_the_truth(blocks)
        assert len(found) == len(TRUTH) - 4
        thrown = session.counters["packets_rejected"] + session.counters["packets_without_info"]
        assert thrown == before_info + 1


def test_one_frame_alone_is_not_delivered() -> None:
    info = next(unit.data for unit in UNITS if unit.data[2] == FrameType.INFO)
    assert listen([info, UNITS[20].data])[1] == []
    assert numbers(listen([info, UNITS[20].data, UNITS[21].data])[1]).tolist() == list(range(8))


def documented(error: BridgeError) -> None:
    assert error.what
    assert error.remedy


@given(
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=300),
            st.sampled_from([unit.data for unit in UNITS[:80]]),
            st.builds(seal, st.sampled_from(list(FrameType)), st.binary(max_size=80)),
        ),
        max_size=60,
    ),
    step_s=st.sampled_from([0.0, 0.02, 0.4]),
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_finite_samples_or_documented_errors(pieces: list[bytes], step_s: float) -> None:
    session, now_s, following = FramedSession(), 0.0, 0
    session.start(now_s)
    for piece in pieces:
        now_s += step_s
        try:
            session.receive(piece, now_s)
            session.on_time(now_s)
        except BridgeError as error:
            documented(error)
            return
        assert len(session._finder._buffer) < 261
        for event in session.events():
            if not isinstance(event, Samples):
                continue
            assert np.isfinite(event.ecg_mv).all()
            assert event.first_sample == following + event.gap_before
            following = event.first_sample + len(event.ecg_mv)
