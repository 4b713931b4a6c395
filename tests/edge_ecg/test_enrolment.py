"""Enrolment: causal, the same in any cut, equal to what training sees, refused with reasons."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ecg.enrolment import Enrolment
from edge_ecg.errors import DataError, UsageError
from edge_ecg.heads import INTERVAL_FEATURES, interval_features, personal_features
from edge_ecg.model import Model
from edge_ecg.pipeline import Pipeline
from edge_ecg.profile import Profile
from edge_ecg.profile.codec import encode
from edge_ecg.records import DecisionRecord
from edge_ecg.samples import SampleBlock
from edge_ecg_train.datasets import DATASETS, Recording
from edge_ecg_train.prepare import Preparation, PreparedWindow, prepare_recording

FS_HZ = 250.0
REST_S = 40.0
# What the resampler looks ahead: 20 zero crossings of its sinc and the chunks it works in.
REACH_S = 0.25
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
Array = NDArray[np.float64]
Cut = Callable[..., list[SampleBlock]]
Heart = Callable[..., Array]


def enrolled(model: Model, blocks: list[SampleBlock], duration_s: float = REST_S) -> Profile:
    enrolment = Enrolment(model, blocks[0].fs_hz, duration_s=duration_s)
    for block in blocks:
        enrolment.push(block)
    enrolment.flush()
    return enrolment.profile(NOON)


def growing(heart: Heart, seconds: float) -> Array:
    """Every window has another scale, so that a wrong one shows."""
    return heart(seconds, FS_HZ) * np.linspace(1, 3, round(seconds * FS_HZ))


def prepared(ecg_mv: Array, fs_hz: float) -> list[PreparedWindow]:
    recording = Recording("made", "made/p", "s", "I", fs_hz, len(ecg_mv), lambda: ecg_mv)
    return list(prepare_recording(recording, Preparation(hop_s=5)))


def spoilt(ecg_mv: Array, fs_hz: float) -> Array:
    noisy = ecg_mv.copy()
    begin, end = int(23 * fs_hz), int(26 * fs_hz)
    noisy[begin:end] = 3.0 * np.random.default_rng(5).standard_normal(end - begin)
    return noisy


@pytest.mark.parametrize("fs_hz", [256.0, 500.0])
@pytest.mark.parametrize("noisy", [False, True])
def test_the_baseline_is_the_one_that_training_sees(
    model: Model, heart: Heart, cut: Cut, fs_hz: float, noisy: bool
) -> None:
    """Windows of the store that end within the first 60 s, embedded, their median taken."""
    ecg_mv = heart(100, fs_hz) * np.linspace(1, 2, round(100 * fs_hz))
    if noisy:
        ecg_mv = spoilt(ecg_mv, fs_hz)
    windows = [one for one in prepared(ecg_mv, fs_hz) if one.start_s + 10.0 <= 60.0]
    assert len(windows) == (8 if noisy else 10)
    embeddings = np.concatenate([model.embed(one.samples[np.newaxis]) for one in windows])
    features = np.array([interval_features(one.samples) for one in windows])
    rates = [one.quality.heart_rate_bpm for one in windows]

    profile = enrolled(model, cut(ecg_mv, fs_hz, [77]), duration_s=60.0)
    assert profile.windows == len(windows)
    np.testing.assert_allclose(profile.embedding, np.median(embeddings, axis=0), atol=1e-6)
    assert list(profile.features) == list(INTERVAL_FEATURES)
    np.testing.assert_allclose(list(profile.features.values()), np.nanmedian(features, axis=0))
    assert profile.heart_rate_bpm == pytest.approx(np.median(np.array(rates, dtype=float)))


def test_a_session_with_a_profile_finds_its_own_scale(
    personal_model: Model, heart: Heart, cut: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecg_mv = growing(heart, 40)
    profile = enrolled(personal_model, cut(3.0 * ecg_mv, FS_HZ), duration_s=31.0)
    embed = personal_model.encoder.embed
    seen: dict[bool, list[NDArray[np.float32]]] = {True: [], False: []}
    for personal, windows in seen.items():
        monkeypatch.setattr(
            personal_model.encoder, "embed", lambda given, kept=windows: kept.append(given[0]) or embed(given)
        )
        pipeline = Pipeline(personal_model, FS_HZ, profile=profile if personal else None)
        for block in cut(ecg_mv, FS_HZ):
            pipeline.push(block)
    assert len(seen[True]) > 20
    np.testing.assert_array_equal(seen[True], seen[False])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=4, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=20),
    gain=st.floats(-20, 20),
    noise_mv=st.floats(0, 5),
    gap_samples=st.integers(0, 20_000),
)
def test_neither_the_cut_nor_anything_after_the_rest_changes_the_profile(
    personal_model: Model,
    heart: Heart,
    cut: Cut,
    sizes: list[int],
    gain: float,
    noise_mv: float,
    gap_samples: int,
) -> None:
    rest_s = 31.0
    ecg_mv = growing(heart, rest_s + 11)
    expected = enrolled(personal_model, cut(ecg_mv, FS_HZ, [len(ecg_mv)]), rest_s)
    at = round((rest_s + REACH_S) * FS_HZ)
    later = gain * ecg_mv[at:] + noise_mv * np.random.default_rng(1).standard_normal(len(ecg_mv) - at)
    first = cut(ecg_mv[:at], FS_HZ, sizes)
    second = [
        replace(
            block,
            first_sample=block.first_sample + at + gap_samples,
            gap_before=gap_samples if not block.first_sample else 0,
        )
        for block in cut(later, FS_HZ, sizes)
    ]
    assert encode(enrolled(personal_model, first + second, rest_s), None) == encode(expected, None)


def test_a_window_that_ends_with_the_rest_counts_and_one_that_ends_later_does_not(
    model: Model, heart: Heart, cut: Cut
) -> None:
    ecg_mv = heart(60, 256.0)
    assert enrolled(model, cut(ecg_mv, 256.0), duration_s=36.0).windows == 6
    assert enrolled(model, cut(ecg_mv, 256.0), duration_s=35.9).windows == 5
    # A file that ends with the rest: its last window waits for nothing.
    assert enrolled(model, cut(ecg_mv[: 36 * 256], 256.0), duration_s=36.0).windows == 6


def test_progress_is_told_while_it_goes_on(model: Model, heart: Heart, cut: Cut) -> None:
    enrolment = Enrolment(model, FS_HZ, duration_s=REST_S)
    seen = []
    for block in cut(heart(60, FS_HZ), FS_HZ):
        if enrolment.done:
            break
        seen += enrolment.push(block)
    assert [one.end_s for one in seen] == list(range(10, 41))
    assert seen[0].reasons == ("warming_up",)
    assert sum(one.samples is not None for one in seen) == enrolment.windows == enrolment.possible == 6
    assert enrolment.seen_s < REST_S + 1


def test_too_few_good_windows_are_refused_with_their_reasons(model: Model, heart: Heart, cut: Cut) -> None:
    blocks = cut(heart(REST_S + 1, FS_HZ), FS_HZ, [250])
    off = np.ones(250, dtype=np.bool_)
    loose = [replace(block, lead_off=off) if block.start_s >= 15 else block for block in blocks]
    with pytest.raises(DataError, match="Only 1 of 6 windows") as caught:
        enrolled(model, loose)
    assert "lead_off in 25 s" in caught.value.why
    assert "press all of them on" in caught.value.remedy


def test_a_flat_line_has_no_baseline(model: Model, cut: Cut) -> None:
    with pytest.raises(DataError, match="Only 0 of 6") as caught:
        enrolled(model, cut(np.full(round(41 * FS_HZ), 0.2), FS_HZ))
    assert "flat" in caught.value.why
    assert "warming_up" not in caught.value.why


def test_a_stream_that_ends_early_is_refused(model: Model, heart: Heart, cut: Cut) -> None:
    with pytest.raises(DataError, match="ended after 35 of 40 s"):
        enrolled(model, cut(heart(35, FS_HZ), FS_HZ))


def test_less_than_half_a_minute_is_refused(model: Model) -> None:
    with pytest.raises(UsageError, match="too few"):
        Enrolment(model, FS_HZ, duration_s=29.9)


def decisions(model: Model, blocks: list[SampleBlock], **options: Any) -> list[DecisionRecord]:
    pipeline = Pipeline(model, FS_HZ, clock=lambda: 0.0, wall_clock=lambda: NOON, **options)
    found = [record for block in blocks for record in pipeline.push(block)]
    return [record for record in found if record.decision is not None]


def stress_of(records: list[DecisionRecord], task: str = "stress") -> list[float]:
    answers = [record.decision[task] for record in records if record.decision is not None]
    return [list(one.probabilities.values())[1] for one in answers if one is not None]


def test_with_a_profile_the_personal_head_sees_what_is_relative_to_it(
    personal_model: Model, heart: Heart, cut: Cut
) -> None:
    model = personal_model
    profile = enrolled(model, cut(heart(REST_S + 1, FS_HZ), FS_HZ))
    blocks = cut(heart(14, FS_HZ, 1), FS_HZ)
    seen: list[NDArray[np.float32]] = []
    embed = model.encoder.embed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model.encoder, "embed", lambda windows: seen.append(windows) or embed(windows))
        personal = decisions(model, blocks, profile=profile)
    windows = np.concatenate(seen)
    names = ("heart_rate_bpm", "sdnn_ms", "rmssd_ms")
    sources = np.array([interval_features(window, names) for window in windows])
    relative = personal_features(sources, [profile.features[name] for name in names])
    inputs = np.hstack([embed(windows) - profile.embedding, relative])
    expected = model.personal_heads["stress"].probabilities(inputs)[:, 1]
    np.testing.assert_allclose(stress_of(personal), expected, atol=1e-5)
    # The task without a personal head is decided on the values themselves.
    plain = model.heads["valence"].probabilities(embed(windows))[:, 1]
    np.testing.assert_allclose(stress_of(personal, "valence"), plain, atol=1e-5)


def test_context_is_the_mean_of_the_logits_that_ended_within_it(
    personal_model: Model, heart: Heart, cut: Cut
) -> None:
    ecg_mv = heart(40, FS_HZ)
    blocks = cut(ecg_mv, FS_HZ, [250])
    # Twelve windows are lost on the way: context counts time, not windows.
    blocks = [*blocks[:20], replace(blocks[21], gap_before=250), *blocks[22:]]
    alone = decisions(personal_model, blocks)
    logits = np.log(np.array(stress_of(alone)) / (1 - np.array(stress_of(alone))))
    ends = np.array([record.end_s for record in alone])
    assert np.diff(ends).max() > 5
    for context_s in (3.0, 15.0):
        found = stress_of(decisions(personal_model, blocks, context_s=context_s))
        means = [logits[(ends <= end) & (ends >= end - context_s)].mean() for end in ends]
        np.testing.assert_allclose(found, 1 / (1 + np.exp(-np.array(means))), atol=1e-5)


def test_the_manifest_s_context_is_used_and_zero_overrides_it(
    personal_model: Model, heart: Heart, cut: Cut
) -> None:
    blocks = cut(heart(16, FS_HZ), FS_HZ)
    tasks = {name: replace(task, context_s=3.0) for name, task in personal_model.manifest.tasks.items()}
    manifest = replace(personal_model.manifest, tasks=tasks)
    slow = Model(
        replace(personal_model.bundle, manifest=manifest),
        personal_model.encoder,
        personal_model.heads,
        personal_model.personal_heads,
    )
    asked = stress_of(decisions(personal_model, blocks, context_s=3.0))
    alone = stress_of(decisions(personal_model, blocks))
    assert stress_of(decisions(slow, blocks)) == asked != alone
    assert stress_of(decisions(slow, blocks, context_s=0.0)) == alone


@pytest.mark.skipif("EDGE_ECG_DATA" not in os.environ, reason="EDGE_ECG_DATA names no folder of recordings")
def test_on_a_real_recording_the_baseline_is_the_store_s(model: Model, cut: Cut) -> None:
    root = Path(os.environ["EDGE_ECG_DATA"])
    if not (root / "eegmat-ecg").is_dir():
        pytest.skip("EDGE_ECG_DATA holds no eegmat-ecg")
    usable = (one for one in DATASETS["eegmat"].recordings(root) if one.usable)
    recording = next(usable)
    ecg_mv = recording.ecg_mv()[: round(75 * recording.fs_hz)]
    windows = [one.samples for one in prepared(ecg_mv, recording.fs_hz) if one.start_s + 10.0 <= 60.0]
    expected = np.median(np.concatenate([model.embed(one[np.newaxis]) for one in windows]), axis=0)
    profile = enrolled(model, cut(ecg_mv, recording.fs_hz, [333]), duration_s=60.0)
    assert profile.windows == len(windows) >= 5
    np.testing.assert_allclose(profile.embedding, expected, atol=1e-6)
