"""LSL: the session on bytes of its own, units, names, and what is said where pylsl is missing."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.errors import DeviceError, UsageError
from edge_ecg.sources import lsl_link, open_source
from edge_ecg.sources.lsl_channels import unit_in_mv
from edge_ecg.sources.lsl_link import FoundLsl, choose, load_pylsl
from edge_ecg.sources.lsl_session import LslSession, LslSettings, pack
from edge_ecg_bridge.stream import BridgeError, Event, Ready, Samples

try:
    import pylsl
except (ImportError, RuntimeError):
    pylsl = None
needs_lsl = pytest.mark.skipif(pylsl is None, reason="pylsl or liblsl is not installed")


def talk(session: LslSession, data: bytes, *, cut: int = 999, step_s: float = 0.01) -> list[Event]:
    """Feed bytes in pieces on a clock that goes on with them."""
    events, now_s = [], 0.0
    session.start(now_s)
    for at in range(0, len(data), cut):
        now_s += step_s
        session.receive(data[at : at + cut], now_s)
        session.on_time(now_s)
        events += session.events()
    session.stop(now_s)
    return events + session.events()


def samples_of(events: list[Event]) -> tuple[np.ndarray, np.ndarray, int]:
    blocks = [event for event in events if isinstance(event, Samples)]
    times = [block.time_s for block in blocks if block.time_s is not None]
    return (
        np.concatenate([block.ecg_mv for block in blocks]),
        np.concatenate(times),
        sum(block.gap_before for block in blocks),
    )


def stream(numbers: np.ndarray, fs_hz: float, *, begin_s: float = 900.0) -> bytes:
    return pack(begin_s + numbers / fs_hz, numbers.astype(float))


def test_samples_in_millivolts_at_their_times_from_the_first_on() -> None:
    numbers = np.r_[0:1500, 1600:2500]
    events = talk(LslSession(LslSettings(250.0, 1e-3, {"name": "x"})), stream(numbers, 250.3))
    ready = events[0]
    assert isinstance(ready, Ready)
    assert (ready.device, ready.fs_hz) == ("lsl", 250.0)
    assert ready.details["measured_hz"] == pytest.approx(250.3, abs=1e-3)
    ecg_mv, time_s, lost = samples_of(events)
    np.testing.assert_allclose(ecg_mv, numbers * 1e-3)
    np.testing.assert_allclose(time_s, numbers / 250.3, atol=1e-6)
    assert lost == 100


def test_values_that_are_no_ecg_in_any_unit_are_lost_samples() -> None:
    numbers = np.arange(1500)
    values = np.sin(numbers / 9.0)
    values[[700, 900, 1100]] = 1e38, -np.inf, np.nan
    session = LslSession(LslSettings(250.0, 1.0))
    ecg_mv, _, lost = samples_of(talk(session, pack(900.0 + numbers / 250.0, values)))
    assert lost == session.counters["not_a_number"] == 3
    assert np.abs(ecg_mv).max() <= 1.0


@pytest.mark.parametrize(("nominal", "real", "expected"), [(0.0, 512.0, 512.0), (1000.0, 500.0, 500.0)])
def test_a_rate_that_is_not_said_or_wrong_is_measured(nominal: float, real: float, expected: float) -> None:
    events = talk(LslSession(LslSettings(nominal, 1.0)), stream(np.arange(6000), real))
    assert isinstance(events[0], Ready)
    assert events[0].fs_hz == pytest.approx(expected, rel=1e-6)
    assert len(samples_of(events)[0]) == 6000  # also those by which it was measured


def test_a_hole_in_the_first_seconds_costs_what_was_before_it() -> None:
    session = LslSession(LslSettings(250.0, 1.0))
    events = talk(session, stream(np.r_[0:200, 300:3000], 250.0))
    ecg_mv, time_s, lost = samples_of(events)
    assert (ecg_mv[0], time_s[0], lost) == (300.0, pytest.approx(0.0, abs=1e-6), 0)
    assert session.counters["samples_before_ready"] == 200


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (stream(np.arange(500), 50.0), "has 50.0 samples a second"),
        (stream(np.arange(60000), 8000.0), "has 8000.0 samples a second"),
        (pack(np.full(300, np.nan), np.zeros(300)), "no numbers"),
        (pack(np.full(300, np.inf), np.zeros(300)), "no numbers"),
    ],
)
def test_streams_that_are_no_ecg(data: bytes, what: str) -> None:
    with pytest.raises(BridgeError, match=what) as raised:
        talk(LslSession(LslSettings(0.0, 1.0)), data)
    assert raised.value.remedy


def test_a_stream_that_stands_still() -> None:
    session = LslSession(LslSettings(250.0, 1.0))
    session.start(10.0)
    session.on_time(14.9)
    with pytest.raises(BridgeError, match="No sample from the LSL stream for 5 s"):
        session.on_time(15.0)


def test_stamps_that_never_advance() -> None:
    session = LslSession(LslSettings(250.0, 1.0))
    session.start(0.0)
    with pytest.raises(BridgeError, match="no steady rate within 20 s"):  # noqa: PT012
        for now_s in np.arange(0.0, 30.0, 1.0):
            session.receive(pack(np.full(10, 5.0), np.zeros(10)), now_s)
            session.on_time(now_s)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=20))
def test_any_cutting_of_the_bytes_gives_the_same(cuts: list[int]) -> None:
    data = stream(np.r_[0:900, 950:1500], 250.0)
    session = LslSession(LslSettings(250.0, 1.0))
    session.start(0.0)
    events, at = [], 0
    for cut in itertools.cycle(cuts):
        if at >= len(data):
            break
        session.receive(data[at : at + cut], at * 1e-4)
        events += session.events()
        at += cut
    session.stop(1.0)
    ecg_mv, time_s, lost = samples_of(events + session.events())
    np.testing.assert_array_equal(ecg_mv, np.r_[0:900, 950:1500])
    np.testing.assert_allclose(time_s, ecg_mv / 250.0, atol=1e-6)
    assert lost == 50


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=4000), st.integers(1, 999))
def test_any_bytes_give_samples_or_a_documented_error(data: bytes, cut: int) -> None:
    session = LslSession(LslSettings(250.0, 1.0))
    try:
        events = talk(session, data, cut=cut)
    except BridgeError:
        return
    for event in events:
        if isinstance(event, Samples):
            assert np.isfinite(event.ecg_mv).all()


@pytest.mark.parametrize(
    ("text", "mv"),
    [
        ("microvolts", 1e-3),
        ("uV", 1e-3),
        ("µV", 1e-3),
        ("mV", 1.0),
        ("Volts", 1e3),
        ("ohm", None),
        ("", None),
    ],
)
def test_units(text: str, mv: float | None) -> None:
    assert unit_in_mv(text) == mv


def found(name: str, type_: str = "ECG", source_id: str = "") -> FoundLsl:
    return FoundLsl(name, type_, source_id or f"id of {name}", "host", 1, 250.0)


def test_which_stream_is_meant() -> None:
    all_of_them = [
        found("Polar", "ECG"),
        found("Polar 2"),
        found("Mixer", "Audio"),
        found("Both", "ECG", "a"),
        found("Both", "Markers", "b"),
    ]
    assert choose(all_of_them, "polar") == 0
    assert choose(all_of_them, "Polar 2") == 1
    assert choose(all_of_them, "id of Polar 2") == 1
    assert choose(all_of_them, "Mixer") == 2  # a whole name counts, whatever the type
    assert choose(all_of_them, "Mix") is None
    assert choose(all_of_them, "Both") == 3  # of one name, the ECG
    assert choose(all_of_them, "b") == 4
    assert choose(all_of_them, "nobody") is None
    assert choose([found("Only"), found("Audio", "Audio")], "") == 0
    with pytest.raises(UsageError, match="3 LSL streams are meant"):
        choose(all_of_them, "")


def test_without_pylsl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(DeviceError, match="pylsl, which is not installed") as raised:
        open_source("lsl:anything")
    assert raised.value.remedy == "pip install 'edge-ecg[lsl]'"


def test_without_liblsl(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> Any:
        raise RuntimeError("LSL binary library file was not found. Please make sure...\nmore")

    monkeypatch.setattr(lsl_link, "import_module", fail)
    with pytest.raises(DeviceError, match="liblsl, which is not installed") as raised:
        load_pylsl()
    assert "binary library file was not found" in raised.value.why
    assert "\n" not in raised.value.why
    assert "PYLSL_LIB" in raised.value.remedy


def test_wrong_options_are_found_before_pylsl_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pylsl", None)
    for text, device, what in [
        ("lsl:x?speed=2", None, "unknown option 'speed'"),
        ("lsl:x?unit=kg", None, "unit=kg"),
        ("lsl:x?fs=3", None, "fs=3"),
        ("lsl:x", "shimmer3", "is an LSL stream, not a shimmer3"),
    ]:
        with pytest.raises(UsageError, match=what):
            open_source(text, device=device)
