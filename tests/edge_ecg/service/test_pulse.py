"""When the watchdog is fed and when a release has proved itself, at moments that the test sets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from edge_ecg.deploy.health import Health
from edge_ecg.service.pulse import FLOW_S, SEARCH_S, Pulse, Stage
from edge_ecg.service.report import health_of, status_sentence
from edge_ecg.service.trial import NEEDED_S, SWALLOWED_S, Watch

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def test_a_device_that_is_not_there_is_no_fault_while_the_search_moves() -> None:
    pulse = Pulse(0.0)
    night_s = 8 * 3600
    for now in range(0, night_s, 31):
        pulse.looking(float(now), "There is no port /dev/ttyUSB0.")
        assert not pulse.reading.stuck(now + 30.0)
    assert pulse.reading.lost_s == 0.0
    assert pulse.reading.stuck(now + SEARCH_S + 1)


def test_the_turns_of_a_source_keep_the_search_alive() -> None:
    pulse = Pulse(0.0)
    pulse.streaming(0.0, "shimmer3 at bt:")
    pulse.looking(5.0, "it was lost")
    for now in range(5, 1000, 20):
        pulse.turned(float(now), turns=now)
        assert not pulse.reading.stuck(now + 20.0)
    last = float(now)
    for later in range(int(last), int(last + SEARCH_S + 20), 10):
        pulse.turned(float(later), turns=now)  # it hangs: the number stands still
    assert not pulse.reading.stuck(last + SEARCH_S)
    assert "search" in pulse.reading.stuck(last + SEARCH_S + 1)


def test_a_reader_that_says_it_streams_must_stream() -> None:
    pulse = Pulse(0.0)
    pulse.streaming(100.0, "shimmer3 at bt:")
    assert not pulse.reading.stuck(100.0 + FLOW_S)
    assert "no sample" in pulse.reading.stuck(100.0 + FLOW_S + 1)
    pulse.turned(109.0, turns=77)  # polls alone are no samples
    assert pulse.reading.stuck(100.0 + FLOW_S + 1)
    pulse.flowed(109.0, NOW, 64, 0.25)
    assert not pulse.reading.stuck(109.0 + FLOW_S)
    assert pulse.reading.stuck(109.0 + FLOW_S + 1)


def test_samples_left_over_from_a_lost_device_do_not_stretch_the_search() -> None:
    pulse = Pulse(0.0)
    pulse.looking(10.0, "it was lost")
    pulse.flowed(200.0, NOW, 64, 0.25)
    assert pulse.reading.stuck(10.0 + SEARCH_S + 1)


def test_a_recording_that_is_over_is_a_life() -> None:
    pulse = Pulse(0.0)
    pulse.streaming(0.0, "file:edf at file:/a")
    pulse.over(60.0)
    assert not pulse.reading.stuck(1e6)


def test_the_totals() -> None:
    pulse = Pulse(0.0)
    pulse.streaming(0.0, "x")
    pulse.flowed(1.0, NOW, 100, 0.4)
    pulse.flowed(2.0, NOW, 50, 0.2)
    pulse.recorded(NOW, None, ("warming_up",))
    assert pulse.reading.why == "warming up"
    pulse.recorded(NOW, "stress: rest 83 %")
    reading = pulse.reading
    assert (reading.samples, round(reading.signal_s, 6), reading.records) == (150, 0.6, 2)
    assert (reading.decisions, reading.withheld, reading.answer) == (1, 1, "stress: rest 83 %")
    assert reading.why == ""


# -- proof of a release on trial -----------------------------------------------------------------------


def test_without_any_sample_the_time_alone_counts() -> None:
    pulse, watch = Pulse(0.0), Watch(0.0, 60.0)
    for now in range(0, 60, 5):
        pulse.looking(float(now), "there is none")
        assert not watch.proved(float(now), pulse.reading)
    pulse.looking(60.0, "there is none")
    assert watch.proved(60.0, pulse.reading)
    assert watch.left_s(45.0) == 15.0
    assert watch.left_s(90.0) == 0.0


def test_where_samples_came_a_record_must_have_come() -> None:
    pulse, watch = Pulse(0.0), Watch(0.0, 60.0)
    pulse.streaming(50.0, "x")
    pulse.flowed(60.0, NOW, 256, NEEDED_S - 1)
    assert watch.proved(60.0, pulse.reading), "too little signal for a record does not hold it up"
    pulse.flowed(60.0, NOW, 256, 1.0)
    assert not watch.proved(60.0, pulse.reading)
    pulse.recorded(NOW, None, ("flat",))
    assert watch.proved(60.0, pulse.reading), "withheld is judged, too"


def test_what_the_watchdog_is_not_fed_for_proves_nothing() -> None:
    pulse, watch = Pulse(0.0), Watch(0.0, 60.0)
    pulse.streaming(0.0, "x")
    pulse.flowed(1.0, NOW, 256, 20.0)
    pulse.recorded(NOW, "stress: rest 83 %")
    assert not watch.proved(60.0, pulse.reading)
    pulse.flowed(60.0, NOW, 256, 1.0)
    assert watch.proved(60.0, pulse.reading)


def test_a_pipeline_that_swallows_everything_is_a_failure() -> None:
    pulse, watch = Pulse(0.0), Watch(0.0, 60.0)
    pulse.streaming(0.0, "x")
    pulse.flowed(1.0, NOW, 256, SWALLOWED_S - 0.5)
    assert not watch.swallowed(pulse.reading)
    pulse.flowed(1.0, NOW, 256, 0.5)
    assert watch.swallowed(pulse.reading)
    pulse.recorded(NOW, None)
    assert not watch.swallowed(pulse.reading)


# -- words ---------------------------------------------------------------------------------------------


def test_sentences_for_systemctl_status() -> None:
    pulse = Pulse(0.0)

    def sentence(left_s: float | None = None) -> str:
        return status_sentence(pulse.reading, "/dev/ttyUSB0", NOW, left_s)

    assert sentence() == "Looking for /dev/ttyUSB0: not connected yet"
    pulse.looking(0.0, "There is no port /dev/ttyUSB0.")
    assert sentence(12.4) == "Looking for /dev/ttyUSB0: There is no port /dev/ttyUSB0; on trial, 12 s left."
    pulse.streaming(1.0, "text at /dev/ttyUSB0")
    assert sentence() == "Collecting the first window (text at /dev/ttyUSB0)."
    pulse.recorded(datetime(2026, 1, 31, 11, 59, 30, tzinfo=UTC), "stress: rest 83 %")
    assert sentence() == "stress: rest 83 %, 30 s ago (text at /dev/ttyUSB0)."
    pulse.recorded(NOW, None, ("lead_off", "noisy"))
    assert sentence() == "No decision: lead off, noisy (text at /dev/ttyUSB0)."
    pulse.over(2.0)
    assert sentence() == "The recording is over; nothing more will come."


@pytest.mark.parametrize("stage", list(Stage))
def test_health_has_an_error_only_for_what_is_wrong_inside(stage: Stage) -> None:
    pulse = Pulse(0.0)
    pulse.flowed(0.0, NOW, 10, 0.1)
    pulse.recorded(NOW, "stress: rest 83 %")
    if stage is Stage.STREAMING:
        pulse.streaming(0.0, "text at /dev/ttyUSB0")
    elif stage is Stage.OVER:
        pulse.over(0.0)
    about = Health("0001-x", 7, 5.0, ready=True)
    health = health_of(pulse.reading, about, "/dev/ttyUSB0", "")
    assert health.error is None
    assert (health.release, health.pid, health.since, health.ready) == ("0001-x", 7, 5.0, True)
    assert health.last_sample == health.last_record == health.last_decision == NOW.timestamp()
    assert (health.samples, health.decisions, health.withheld) == (10, 1, 0)
    if stage is Stage.LOOKING:
        assert health.device == "looking for /dev/ttyUSB0: not connected yet"
    assert health_of(pulse.reading, about, "x", "it hangs").error == "it hangs"
