"""The pipeline: the same decisions in any cut, each normalised as the rule says, withheld with a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ecg.errors import BundleError, UsageError
from edge_ecg.model import Model
from edge_ecg.pipeline import Pipeline
from edge_ecg.records import DecisionRecord
from edge_ecg.samples import SampleBlock
from edge_ecg.signal.chain import WindowChain
from edge_ecg.signal.quality import assess

FS_HZ = 250.0
Cut = Callable[..., list[SampleBlock]]
Heart = Callable[..., NDArray[np.float64]]


def run(model: Model, blocks: list[SampleBlock], **options: Any) -> list[DecisionRecord]:
    pipeline = Pipeline(
        model, FS_HZ, clock=lambda: 0.0, wall_clock=lambda: datetime(2026, 1, 31, tzinfo=UTC), **options
    )
    return [record for block in blocks for record in pipeline.push(block)] + pipeline.flush()


NOW = datetime(2026, 1, 31, tzinfo=UTC)


def essence(record: DecisionRecord) -> object:
    """All but what depends on arrival."""
    return replace(record, time=NOW, latency_ms=None, inference_ms=None)


def with_manifest(model: Model, **changes: Any) -> Model:
    bundle = replace(model.bundle, manifest=replace(model.manifest, **changes))
    return Model(bundle, model.encoder, model.heads)


def test_one_decision_a_second_from_eleven_seconds_on(model: Model, heart: Heart, cut: Cut) -> None:
    records = run(model, cut(heart(20, FS_HZ), FS_HZ))
    assert [record.end_s for record in records] == list(range(10, 21))
    assert [record.seq for record in records] == list(range(11))
    assert records[0].withheld == ("warming_up",)
    assert records[0].decision is None
    assert all(record.decision is not None and not record.withheld for record in records[1:])


def test_a_decision_is_complete(model: Model, heart: Heart, cut: Cut) -> None:
    record = run(model, cut(heart(11, FS_HZ), FS_HZ))[-1]
    assert (record.start_s, record.end_s) == (1.0, 11.0)
    assert record.decision is not None
    assert set(record.decision) == {"stress", "valence"}
    stress = record.decision["stress"]
    assert stress is not None
    assert sum(stress.probabilities.values()) == pytest.approx(1.0, abs=1e-6)
    assert stress.label == max(stress.probabilities, key=lambda label: stress.probabilities[label])
    assert record.heart_rate_bpm == pytest.approx(72, abs=8)
    assert 0.9 < record.quality <= 1.0
    assert record.lost_samples == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10, deadline=None)
@given(sizes=st.lists(st.integers(1, 2000), min_size=1, max_size=30))
def test_the_cut_does_not_matter(model: Model, heart: Heart, cut: Cut, sizes: list[int]) -> None:
    ecg = heart(14, FS_HZ)
    whole = run(model, cut(ecg, FS_HZ, [len(ecg)]))
    parts = run(model, cut(ecg, FS_HZ, sizes))
    assert list(map(essence, parts)) == list(map(essence, whole))


def test_each_window_is_normalised_by_the_good_windows_before_it(
    model: Model, heart: Heart, cut: Cut
) -> None:
    """The rule, written down a second time from the windows of the chain alone."""
    growing = heart(40, FS_HZ) * np.linspace(1, 3, round(40 * FS_HZ))
    blocks = cut(growing, FS_HZ)
    chain = WindowChain(FS_HZ)
    ticks = [tick for block in blocks for tick in chain.push(block)] + chain.flush()
    means: list[float] = []
    sds: list[float] = []
    free_from = 0.0
    expected = []
    for tick in ticks:
        if tick.window is None or not assess(tick.window).good:
            continue
        ecg = tick.window.ecg_mv
        if tick.start_s >= free_from:
            middle = np.sort(ecg)[64:-64]
            means.append(float(ecg.mean()))
            sds.append(float(middle.std()))
            free_from = tick.end_s
        window = ((ecg - np.mean(means)) / np.mean(sds)).astype(np.float32)
        expected.append(model.predict(window[np.newaxis])["stress"][0, 1])
    assert len(means) == 3  # from 1, 11 and 21 s on
    found = [
        record.decision["stress"].probabilities["stress"]  # type: ignore[union-attr]
        for record in run(model, blocks)
        if record.decision is not None
    ]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_gap_is_withheld_counted_and_outlived(model: Model, heart: Heart, cut: Cut) -> None:
    ecg = heart(40, FS_HZ)
    blocks = cut(ecg, FS_HZ, [250])
    # Two seconds lost from 15 s on: blocks 15 and 16 never came.
    blocks = [*blocks[:15], replace(blocks[17], gap_before=500), *blocks[18:]]
    records = {record.end_s: record for record in run(model, blocks)}
    assert records[15.0].decision is not None
    assert 16.0 not in records
    for end_s in range(18, 28):
        assert records[end_s].withheld == ("gap",)
        assert records[end_s].lost_samples == min(500, 250 * max(0, 17 - max(15, end_s - 10)))
    assert records[28.0].decision is not None
    assert records[28.0].lost_samples == 0


def test_a_flat_line_gets_no_decision_and_no_heart_rate(model: Model, cut: Cut) -> None:
    records = run(model, cut(np.full(5000, 0.3), FS_HZ))
    assert len(records) == 11
    for record in records[1:]:
        assert record.decision is None
        assert "flat" in record.withheld
        assert record.heart_rate_bpm is None
        assert record.inference_ms is None


def test_an_electrode_off_gets_no_decision(model: Model, heart: Heart, cut: Cut) -> None:
    off = np.ones(250, dtype=np.bool_)
    blocks = [replace(block, lead_off=off) for block in cut(heart(15, FS_HZ), FS_HZ, [250])]
    assert all("lead_off" in record.withheld for record in run(model, blocks)[1:])


def test_low_confidence_of_all_tasks_is_no_decision_but_a_heart_rate(
    model: Model, heart: Heart, cut: Cut
) -> None:
    strict = {name: replace(task, min_confidence=1.0) for name, task in model.manifest.tasks.items()}
    records = run(with_manifest(model, tasks=strict), cut(heart(14, FS_HZ), FS_HZ))
    for record in records[1:]:
        assert record.decision is None
        assert record.withheld == ("low_confidence",)
        assert record.heart_rate_bpm is not None
        assert record.inference_ms is not None


def test_low_confidence_of_one_task_withholds_that_one(model: Model, heart: Heart, cut: Cut) -> None:
    tasks = dict(model.manifest.tasks)
    tasks["valence"] = replace(tasks["valence"], min_confidence=1.0)
    record = run(with_manifest(model, tasks=tasks), cut(heart(11, FS_HZ), FS_HZ))[-1]
    assert record.withheld == ("low_confidence",)
    assert record.decision is not None
    assert record.decision["valence"] is None
    assert record.decision["stress"] is not None


def test_latency_counts_from_the_arrival_of_the_window_s_last_sample(
    model: Model, heart: Heart, cut: Cut
) -> None:
    now = 0.0
    pipeline = Pipeline(model, FS_HZ, clock=lambda: now)
    latencies = []
    for block in cut(heart(12, FS_HZ), FS_HZ, [25]):
        assert block.arrived_s is not None
        now = block.arrived_s + 0.030
        latencies += [record.latency_ms for record in pipeline.push(block)]
    assert latencies
    assert latencies == pytest.approx([30.0] * len(latencies))


def test_a_file_without_arrivals_has_no_latency(model: Model, heart: Heart, cut: Cut) -> None:
    blocks = [replace(block, arrived_s=None) for block in cut(heart(12, FS_HZ), FS_HZ)]
    assert {record.latency_ms for record in run(model, blocks)} == {None}


@pytest.mark.parametrize(("hop_s", "count"), [(0.5, 9), (1.0, 5), (2.0, 3), (10.0, 1)])
def test_the_hop_is_the_distance_between_decisions(
    model: Model, heart: Heart, cut: Cut, hop_s: float, count: int
) -> None:
    ends = [record.end_s for record in run(model, cut(heart(14, FS_HZ), FS_HZ), hop_s=hop_s)]
    assert ends == [10 + hop_s * index for index in range(count)]


@pytest.mark.parametrize(("fs_hz", "hop_s"), [(20.0, 1.0), (5000.0, 1.0), (250.0, 0.001)])
def test_an_impossible_rate_or_hop_is_a_usage_error(model: Model, fs_hz: float, hop_s: float) -> None:
    with pytest.raises(UsageError, match="not possible"):
        Pipeline(model, fs_hz, hop_s=hop_s)


def test_a_model_behind_another_signal_chain_is_refused(model: Model) -> None:
    wanted = model.manifest.input
    steps = replace(wanted.preprocessing, highpass_hz=0.5)
    with pytest.raises(BundleError, match="another signal chain"):
        Pipeline(with_manifest(model, input=replace(wanted, preprocessing=steps)), FS_HZ)
