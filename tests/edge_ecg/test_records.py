"""The records against the interface document, key for key."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from edge_ecg.records import DecisionRecord, EndRecord, EventRecord, StartRecord, TaskDecision

NOON = datetime(2026, 11, 21, 3, 40, 0, 123_456, tzinfo=UTC)


def decided(**changes: object) -> DecisionRecord:
    values: dict[str, object] = {
        "seq": 12,
        "start_s": 12.0,
        "end_s": 22.0,
        "time": NOON,
        "decision": {"stress": TaskDecision("rest", {"rest": 0.83, "stress": 0.17})},
        "withheld": (),
        "quality": 0.97,
        "heart_rate_bpm": 71.9,
        "lost_samples": 0,
        "inference_ms": 4.2,
        "latency_ms": 13.0,
    }
    return DecisionRecord(**(values | changes))  # type: ignore[arg-type]


def test_start_is_the_line_of_the_interface() -> None:
    record = StartRecord("/dev/rfcomm0", "shimmer3", 512.0, "stress@0123456789ab", "onnx-int8", 1.0)
    assert json.dumps(record.to_json()) == (
        '{"type": "start", "schema": 1, "source": "/dev/rfcomm0", "device": "shimmer3", "fs_hz": 512.0, '
        '"model": "stress@0123456789ab", "engine": "onnx-int8", "hop_s": 1.0, '
        '"profile": null, "context_s": null, "personal": [], "unseen_loss_ms": null}'
    )


def test_start_says_for_whom_and_over_what_time_it_decides() -> None:
    record = StartRecord("sim:", "sim", 256.0, "m@0", "onnx-int8", 1.0, "ann", {"stress": 15.0}, ("stress",))
    found = record.to_json()
    assert (found["profile"], found["context_s"], found["personal"]) == ("ann", {"stress": 15.0}, ["stress"])


def test_decision_is_the_line_of_the_interface() -> None:
    assert json.dumps(decided().to_json()) == (
        '{"type": "decision", "seq": 12, "start_s": 12.0, "end_s": 22.0, "time": "2026-11-21T03:40:00.123Z", '
        '"decision": {"stress": {"label": "rest", "probabilities": {"rest": 0.83, "stress": 0.17}}}, '
        '"withheld": [], "quality": 0.97, "heart_rate_bpm": 71.9, "lost_samples": 0, '
        '"inference_ms": 4.2, "latency_ms": 13.0, '
        '"lost_10s": 0, "lost_60s": 0, "lost_session": 0, "bridged_samples": 0}'
    )


def test_no_decision_is_null_with_its_reasons() -> None:
    record = decided(
        decision=None, withheld=("lead_off",), heart_rate_bpm=None, inference_ms=None, latency_ms=None
    ).to_json()
    assert record["decision"] is None
    assert record["withheld"] == ["lead_off"]
    assert record["heart_rate_bpm"] is None
    assert record["inference_ms"] is None
    assert record["latency_ms"] is None


def test_a_task_that_is_not_sure_is_null_beside_one_that_is() -> None:
    answers = {"stress": TaskDecision("rest", {"rest": 0.9, "stress": 0.1}), "valence": None}
    record = decided(decision=answers, withheld=("low_confidence",)).to_json()
    assert record["decision"]["valence"] is None
    assert record["decision"]["stress"]["label"] == "rest"


def test_time_is_utc_whatever_the_zone() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert decided(time=elsewhere).to_json()["time"] == "2026-11-21T03:40:00.123Z"
    whole = NOON.replace(microsecond=0)
    assert decided(time=whole).to_json()["time"] == "2026-11-21T03:40:00.000Z"


def test_event_carries_its_detail_beside_the_common_keys() -> None:
    record = EventRecord("gap", NOON, 17.25, {"lost_samples": 37, "type": "not mine"})
    assert record.to_json() == {
        "type": "event",
        "event": "gap",
        "time": "2026-11-21T03:40:00.123Z",
        "at_s": 17.25,
        "lost_samples": 37,
    }


def test_end_is_the_line_of_the_interface() -> None:
    assert json.dumps(EndRecord(50, 10, 0, "duration").to_json()) == (
        '{"type": "end", "decisions": 50, "withheld": 10, "lost_samples": 0, "reason": "duration", '
        '"lost_10s": 0, "lost_60s": 0, "measured_fs_hz": null, "counters": {}}'
    )


@pytest.mark.parametrize("probability", [0.0, 0.123456, 0.5, 1.0])
def test_rounded_probabilities_still_sum_to_one(probability: float) -> None:
    answer = TaskDecision("rest", {"rest": 1 - probability, "stress": probability})
    assert sum(answer.to_json()["probabilities"].values()) == pytest.approx(1.0, abs=1e-12)
