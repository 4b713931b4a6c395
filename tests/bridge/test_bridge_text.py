"""The text protocol: lines, units, rates, losses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from edge_ecg_bridge.emulators import (
    GarbageEmulator,
    Reservoir,
    Shimmer3Emulator,
    SilentEmulator,
    TextEmulator,
)
from edge_ecg_bridge.stream import BridgeError, Ready, Samples
from edge_ecg_bridge.synthetic import SyntheticEcg
from edge_ecg_bridge.text import Line, LineSplitter, TextSession, TextSettings, parse_line

ECG = SyntheticEcg(seed=5)
COUNT_MV = 5000.0 / 1100.0 / 1024  # one step of the converter, at the electrodes


def expected_mv(n: int, fs_hz: float) -> np.ndarray:
    return Reservoir(ECG(fs_hz)).take(n)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"523", Line(523.0)),
        (b" 523 ", Line(523.0)),
        (b"-0.52", Line(-0.52, whole=False)),
        (b"1.5e-1", Line(0.15, whole=False)),
        (b"!", Line(None, lead_off=True)),
        (b"1000,523", Line(523.0, 1000.0)),
        (b"1000;523;0", Line(523.0, 1000.0)),
        (b"1000\t523\t1", Line(523.0, 1000.0, lead_off=True)),
        (b"1000, 523, !", Line(523.0, 1000.0, lead_off=True)),
        (b"1000,!", Line(None, 1000.0, lead_off=True)),
        (b"nan", None),
        (b"inf", None),
        (b"1e999", None),
        (b"", None),
        (b"hello", None),
        (b"1,2,3,4", None),
        (b"1,2,3", None),
        (b"-5,3", None),
        (b"52\xff3", None),
        (b"\xd9\xa3", None),
    ],
)
def test_lines(text: bytes, expected: Line | None) -> None:
    assert parse_line(text) == expected


def test_columns_as_told() -> None:
    assert parse_line(b"523", timed=True) is None
    assert parse_line(b"523,1", timed=False) == Line(523.0, None, lead_off=True)
    assert parse_line(b"7,523", timed=False) is None


@pytest.mark.parametrize("ending", ["\r", "\n", "\r\n", "\n\r", "\n\n"])
@given(pieces=st.lists(st.integers(1, 9), max_size=40))
@settings(max_examples=25)
def test_line_endings_in_any_pieces(ending: str, pieces: list[int]) -> None:
    data = ("12" + ending + "".join(f"{i}{ending}" for i in range(100, 140))).encode()
    splitter, at, lines, sizes = LineSplitter(), 0, [], iter(pieces)
    while at < len(data):
        size = next(sizes, 50)
        lines += splitter.feed(data[at : at + size])
        at += size
    assert lines == [str(i).encode() for i in range(100, 140)]  # the first line may have been cut


def test_endless_line_takes_no_memory() -> None:
    splitter = LineSplitter()
    splitter.feed(b"1\n")
    for _ in range(1000):
        assert splitter.feed(b"7" * 1000) == []
        assert len(splitter._rest) <= 1256
    assert splitter.feed(b"7\n8\n") == [b"?", b"8"]


@pytest.mark.parametrize("line", ["adc", "ms,adc", "us,adc", "mv"])
@pytest.mark.parametrize("fs_hz", [125.0, 250.0, 500.0])
def test_a_board_is_read_as_it_is(converse: Callable, line: str, fs_hz: float) -> None:
    device = TextEmulator(ECG, fs_hz=fs_hz, line=line, banner="AD8232 ready", counter=2**32 - 3_000_000)
    said = converse(TextSession(), device, until_s=12.0)
    assert said.ready.fs_hz == pytest.approx(fs_hz, rel=2e-4 if line == "us,adc" else 1e-2)
    assert said.ready.details["unit"] == ("mv" if line == "mv" else "adc")
    n = len(said.ecg_mv)
    assert said.numbers.tolist() == list(range(n))
    assert n >= (12.0 - 1.1) * fs_hz
    truth = expected_mv(device.lines_sent, fs_hz)[-n:]
    assert np.abs(said.ecg_mv - truth).max() <= (1e-4 if line == "mv" else COUNT_MV / 2 * 1.001)


def test_counted_rate_that_is_not_a_usual_one(converse: Callable) -> None:
    said = converse(TextSession(), TextEmulator(ECG, fs_hz=171.0), until_s=8.0)
    assert said.ready.fs_hz == pytest.approx(171.0, rel=0.01)
    assert said.ready.details["rate"] == "counted"


def test_rate_as_told(converse: Callable) -> None:
    said = converse(TextSession(TextSettings(fs_hz=248.0)), TextEmulator(ECG), until_s=3.0)
    assert (said.ready.fs_hz, said.ready.details["rate"]) == (248.0, "given")


@pytest.mark.parametrize("fs_hz", [50.0, 5000.0])
def test_impossible_rates(converse: Callable, fs_hz: float) -> None:
    with pytest.raises(BridgeError, match="lines a second; the ECG needs 100 to 4000"):
        converse(TextSession(), TextEmulator(ECG, fs_hz=fs_hz), until_s=20.0)


@pytest.mark.parametrize("line", ["ms,adc", "us,adc"])
@pytest.mark.parametrize("fs_hz", [200.0, 250.0, 360.0])
def test_losses_show_in_the_time_column(converse: Callable, line: str, fs_hz: float) -> None:
    device = TextEmulator(ECG, fs_hz=fs_hz, line=line, loss=0.02, seed=1)
    said = converse(TextSession(), device, until_s=30.0)
    total = device.lines_sent + device.lines_lost
    truth = expected_mv(total, fs_hz)
    offset = total - 1 - said.numbers[-1]  # lines of the settling second
    assert said.lost > 50
    assert np.abs(said.ecg_mv - truth[said.numbers + offset]).max() <= COUNT_MV


def test_time_steps_back_and_doubled_lines_are_refused() -> None:
    session = TextSession(TextSettings(fs_hz=250.0, time="ms"))
    lines = [f"{4 * i},{i % 1000}" for i in range(1000)]
    lines[800:800] = lines[790:800]
    samples = feed(session, lines)
    numbers = np.concatenate([block.first_sample + np.arange(len(block.ecg_mv)) for block in samples])
    assert numbers.tolist() == list(range(len(numbers)))
    assert session.counters == {"lines_skipped": 0, "packets_rejected": 10, "duplicates": 10}


def feed(session: TextSession, lines: list[str], *, per_s: float = 250.0) -> list[Samples]:
    """Let lines arrive one by one at their rate; return the samples."""
    session.start(0.0)
    session.receive(b"\n", 0.0)
    found: list[Samples] = []
    for i, line in enumerate(lines):
        session.receive(line.encode() + b"\r\n", i / per_s)
        found += [event for event in session.events() if isinstance(event, Samples)]
    return found


def test_lead_off_lines_hold_their_place(converse: Callable) -> None:
    device = TextEmulator(ECG, electrode_off=lambda t_s: 8.0 <= t_s < 9.0)
    said = converse(TextSession(), device, until_s=12.0)
    off = np.concatenate([block.lead_off for block in said.samples])
    assert off.sum() == 250
    assert said.numbers.tolist() == list(range(len(off)))
    held = said.ecg_mv[off]
    assert (held == said.ecg_mv[np.flatnonzero(off)[0] - 1]).all()
    assert np.isfinite(said.ecg_mv).all()


def test_unreadable_lines_are_lost_samples() -> None:
    session = TextSession(TextSettings(fs_hz=250.0))
    lines = [str(i % 1000) for i in range(1000)]
    lines[500] = "nan"
    lines[600] = "6x0"
    samples = feed(session, lines)
    assert [block.gap_before for block in samples if block.gap_before] == [1, 1]
    assert session.counters["lines_skipped"] == 2


def test_a_pause_without_time_column_is_a_gap(converse: Callable) -> None:
    session, device = TextSession(TextSettings(fs_hz=250.0)), TextEmulator(ECG)
    said = converse(session, device, until_s=4.0)
    pause = SilentEmulator()
    converse(session, pause, until_s=6.0, result=said)
    device.bytes_to_send(said.now_s)  # printed to nobody
    converse(session, device, until_s=8.0, result=said)
    assert said.lost == pytest.approx(500, abs=10)


def test_settings_of_converter_and_saturation() -> None:
    session = TextSession(TextSettings(fs_hz=250.0, adc_bits=12, vref=3.3, gain=100.0))
    samples = feed(session, ["0", "1024", "4095", "2048"] * 200)
    ecg, saturated = (np.concatenate([getattr(s, name) for s in samples]) for name in ("ecg_mv", "saturated"))
    np.testing.assert_allclose(ecg[:4], [-16.5, -8.25, 33.0 * (4095 / 4096 - 0.5), 0.0])
    assert saturated[:4].tolist() == [True, False, True, False]


@pytest.mark.parametrize(("unit", "factor"), [("mv", 1.0), ("uv", 1e-3), ("v", 1e3)])
def test_units(unit: str, factor: float) -> None:
    samples = feed(TextSession(TextSettings(fs_hz=250.0, unit=unit)), ["2"] * 500)
    assert samples[0].ecg_mv[0] == 2 * factor


def test_counts_that_do_not_fit_the_converter() -> None:
    with pytest.raises(BridgeError, match=r"2048.*no count of a 10-bit converter.*adc_bits=12"):
        feed(TextSession(TextSettings(fs_hz=250.0)), ["2048"] * 500)


@pytest.mark.parametrize(
    ("device", "what"),
    [
        (SilentEmulator(), "No bytes from the board for 5 s"),
        (Shimmer3Emulator(ECG), "No bytes from the board for 5 s.*leave out --device"),
        (GarbageEmulator(), "no line of numbers for 5 s.*the bytes .*baud=9600"),
    ],
    ids=["silent", "shimmer", "garbage"],
)
def test_what_is_no_text_board_is_named(converse: Callable, device: object, what: str) -> None:
    with pytest.raises(BridgeError, match=what):
        converse(TextSession(), device, until_s=20.0)


def documented(error: BridgeError) -> None:
    assert error.what
    assert error.remedy


@given(
    pieces=st.lists(
        st.one_of(st.binary(max_size=80), st.from_regex(rb"[0-9,;.!\r\n-]{0,60}", fullmatch=True))
    ),
    time=st.sampled_from(["auto", "ms", "us", "none"]),
    fs_hz=st.sampled_from([None, 250.0]),
)
@settings(max_examples=150)
def test_any_bytes_give_finite_samples_or_documented_errors(
    pieces: list[bytes], time: str, fs_hz: float | None
) -> None:
    session = TextSession(TextSettings(fs_hz=fs_hz, time=time))
    session.start(0.0)
    next_sample, now_s = 0, 0.0
    try:
        for piece in pieces:
            now_s += 0.2
            session.receive(piece, now_s)
            session.on_time(now_s)
            for event in session.events():
                if isinstance(event, Ready):
                    continue
                assert np.isfinite(event.ecg_mv).all()
                assert event.first_sample == next_sample + event.gap_before
                next_sample = event.first_sample + len(event.ecg_mv)
    except BridgeError as error:
        documented(error)


# -- damage ----------------------------------------------------------------------------------------------


@given(
    damage=st.dictionaries(
        st.integers(300, 560), st.tuples(st.integers(0, 12), st.integers(0, 7)), max_size=6
    ),
    line=st.sampled_from(["us,adc", "ms,adc"]),
)
@example(damage={300: (7, 0), 301: (0, 1)}, line="ms,adc")
@example(damage={300: (6, 1), 301: (0, 1)}, line="ms,adc")
@settings(max_examples=60, deadline=None)
def test_a_damaged_digit_never_moves_time(damage: dict[int, tuple[int, int]], line: str) -> None:
    """Of each damaged line only itself and its neighbours may be lost or wrong; others keep their place."""
    # Two near each other with the same digit damaged alike look as the first lines after a loss do, and of
    # three in a row two may bear each other out by chance.
    near = [[damage[number + i] for i in range(10) if number + i in damage] for number in damage]
    assume(all(len(harms) <= 2 and len(set(harms)) == len(harms) for harms in near))
    device = TextEmulator(ECG, line=line, counter=1_000_000_000)
    session = TextSession(TextSettings(time=line[:2]))
    session.start(0.0)
    found: dict[int, float] = {}
    sent = 0
    for step in range(600):
        now_s = step / 100
        data = b""
        for unit in device.units(now_s):
            broken = bytearray(unit.data)
            if sent in damage:
                at, bit = damage[sent]
                broken[at % len(broken)] ^= 1 << bit
            data += bytes(broken)
            sent += 1
        session.receive(data, now_s)
        session.on_time(now_s)
        for event in session.events():
            if isinstance(event, Samples):
                found |= {event.first_sample + i: float(value) for i, value in enumerate(event.ecg_mv)}
    truth = expected_mv(sent, 250.0)
    offset = sent - 1 - max(found)
    touched = {number + near for number in damage for near in (-1, 0, 1)}
    for number in range(offset, sent - 2):
        if number in touched:
            continue
        assert number - offset in found
        assert abs(found[number - offset] - truth[number]) <= COUNT_MV


def test_two_lines_that_changed_places_are_put_right() -> None:
    lines = [f"{4 * i},{i % 1000}" for i in range(1000)]
    lines[600], lines[601] = lines[601], lines[600]
    session = TextSession(TextSettings(fs_hz=250.0, time="ms"))
    samples = feed(session, lines)
    counts = np.concatenate([block.ecg_mv for block in samples]) * 1100 / 5000 * 1024 + 512
    assert np.diff(counts.round()).tolist() == [1.0] * (len(counts) - 1)
    assert session.counters == {"lines_skipped": 0, "packets_rejected": 0, "duplicates": 0}


def test_a_board_that_restarts_goes_on_after_a_second() -> None:
    """Its clock begins at zero again: what it printed until that was sure is lost and counted."""
    lines = [f"{4 * i + 90000},{i % 1000}" for i in range(1000)] + [
        f"{4 * i},{i % 1000}" for i in range(1000)
    ]
    samples = feed(TextSession(TextSettings(fs_hz=250.0, time="ms")), lines)
    numbers = np.concatenate([block.first_sample + np.arange(len(block.ecg_mv)) for block in samples])
    gaps = [block.gap_before for block in samples if block.gap_before]
    assert gaps == [pytest.approx(249, abs=2)]
    assert numbers[-1] == len(numbers) + sum(gaps) - 1


def test_single_impossible_counts_are_lost_samples() -> None:
    lines = [str(i % 1000) for i in range(1000)]
    for at in (400, 401, 500):
        lines[at] = "5000"
    session = TextSession(TextSettings(fs_hz=250.0))
    samples = feed(session, lines)
    assert [block.gap_before for block in samples if block.gap_before] == [2, 1]
    assert session.counters["packets_rejected"] == 3


def test_millivolts_that_no_electrode_gives_are_lost_samples() -> None:
    """One beyond float32 would leave the filters without a number for ever, and no recording may hold one."""
    lines = [f"{(i % 100) / 100:.2f}" for i in range(1000)]
    lines[500], lines[600] = "0.5e39", "-052345"
    session = TextSession(TextSettings(fs_hz=250.0))
    samples = feed(session, lines)
    assert [block.gap_before for block in samples if block.gap_before] == [1, 1]
    assert max(float(np.abs(block.ecg_mv).max()) for block in samples) < 1.0
    assert session.counters["packets_rejected"] == 2


def test_a_board_of_100_hz_whose_clock_reads_a_little_less_is_read() -> None:
    lines = [f"{round(i / 99.7 * 1e6)},{i % 1000}" for i in range(2000)]
    samples = feed(TextSession(), lines, per_s=99.7)
    assert sum(block.gap_before for block in samples) == 0
    assert sum(len(block.ecg_mv) for block in samples) > 1800


def test_numbers_in_another_unit_are_named() -> None:
    lines = [f"{-2000000.5 - i % 7}" for i in range(1000)]
    with pytest.raises(BridgeError, match=r"would be -2e\+03 V") as caught:
        feed(TextSession(TextSettings(fs_hz=250.0)), lines)
    assert "?unit=uv" in caught.value.remedy


def test_a_line_that_lost_its_time_is_no_sample() -> None:
    lines = [f"{4 * i},{i % 1000}" for i in range(1000)]
    lines[500] = "2000.500"
    session = TextSession(TextSettings(fs_hz=250.0))
    samples = feed(session, lines)
    assert [block.gap_before for block in samples if block.gap_before] == [1]
    assert session.counters["packets_rejected"] == 1


def test_lead_off_lines_without_time_keep_theirs() -> None:
    lines = [f"{4 * i},{i % 1000}" for i in range(1000)]
    lines[500:510] = ["!"] * 10
    samples = feed(TextSession(TextSettings(fs_hz=250.0)), lines)
    assert sum(block.gap_before for block in samples) == 0
    off = np.concatenate([block.lead_off for block in samples])
    assert off.sum() == 10


def test_a_flood_of_lines_ends_before_it_fills_the_memory() -> None:
    session = TextSession()
    session.start(0.0)
    session.receive(b"1\n2\n", 0.0)
    with pytest.raises(BridgeError, match="lines a second; the ECG needs"):  # noqa: PT012
        for step in range(100):
            session.receive(b"512\n" * 1000, 1.5 + step * 1e-3)
    assert len(session._early) < 30_000
