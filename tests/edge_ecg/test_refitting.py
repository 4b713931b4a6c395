"""Marked windows to refitted heads: which windows count, on what they are fitted, and when it is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ecg.enrolment import Enrolment
from edge_ecg.errors import DataError, UsageError
from edge_ecg.heads.refit import refit
from edge_ecg.model import Model
from edge_ecg.pipeline import Pipeline
from edge_ecg.profile import Profile, load_profile, save_profile
from edge_ecg.refitting import MOST_EXAMPLES, MarkedWindows, RefitReport, _thinned
from edge_ecg.samples import SampleBlock

FS_HZ = 256.0
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
Cut = Callable[..., list[SampleBlock]]
Heart = Callable[..., NDArray[np.float64]]
Marks = list[tuple[float, str]]

# Windows start at 1, 6, 11, ... s. Between these marks lie wholly: 11 to 31 s (5) and 51 to 66 s (4).
TWO_STRETCHES: Marks = [(7.5, "rest"), (43.0, "coffee"), (50.0, "Stress "), (77.0, "")]


@pytest.fixture(scope="module")
def profile(personal_model: Model, heart: Heart, cut: Cut) -> Profile:
    enrolment = Enrolment(personal_model, FS_HZ, duration_s=31)
    for block in cut(heart(32, FS_HZ), FS_HZ):
        enrolment.push(block)
    return enrolment.profile(NOON)


def refitted(
    model: Model, profile: Profile, blocks: list[SampleBlock], marks: Marks
) -> tuple[Profile, list[RefitReport]]:
    marked = MarkedWindows(model, profile, FS_HZ)
    for at_s, text in marks:
        marked.mark(at_s, text)
    for block in blocks:
        marked.push(block)
    marked.flush()
    return marked.refit(NOON)


def two_states(heart: Heart, seconds: float) -> NDArray[np.float64]:
    """The heart grows louder, so that a wrong scale shows."""
    return heart(seconds, FS_HZ, 3) * np.linspace(1, 2, round(seconds * FS_HZ))


def test_windows_wholly_between_two_marks_are_the_examples(
    personal_model: Model, profile: Profile, heart: Heart, cut: Cut
) -> None:
    ecg_mv = two_states(heart, 90)
    found, (report,) = refitted(personal_model, profile, cut(ecg_mv, FS_HZ), TWO_STRETCHES)
    assert report.task == "stress"
    assert report.examples == {"rest": 5, "stress": 4}
    assert found.heads["stress"].examples == report.examples
    assert found.embedding is profile.embedding
    assert profile.heads == {}


def test_they_are_fitted_as_the_pipeline_decides_on_them(
    personal_model: Model, profile: Profile, heart: Heart, cut: Cut
) -> None:
    """Inputs gathered from the pipeline itself, window by window, give the same head."""
    model = personal_model
    blocks = cut(two_states(heart, 90), FS_HZ)
    inputs: dict[float, NDArray[np.float32]] = {}
    pipeline = Pipeline(model, FS_HZ, profile=profile)
    personal_inputs = model.personal_inputs
    with pytest.MonkeyPatch.context() as patch:
        seen: list[NDArray[np.float32]] = []

        def spy(task: str, *rest: NDArray[np.float32]) -> NDArray[np.float32]:
            values = personal_inputs(task, *rest)
            seen.append(values[0])
            return values

        patch.setattr(model, "personal_inputs", spy)
        for block in blocks:
            for record in pipeline.push(block):
                if seen:
                    inputs[record.start_s] = seen.pop()
    rest, stress = [11.0, 16.0, 21.0, 26.0, 31.0], [51.0, 56.0, 61.0, 66.0]
    expected = refit(
        model.personal_heads["stress"],
        np.array([inputs[start_s] for start_s in rest + stress]),
        [0] * len(rest) + [1] * len(stress),
    )
    found, _ = refitted(model, profile, blocks, TWO_STRETCHES)
    np.testing.assert_allclose(found.heads["stress"].head.weights[0], expected.weights[0], atol=1e-5)
    np.testing.assert_allclose(found.heads["stress"].head.biases[0], expected.biases[0], atol=1e-5)


def test_the_refitted_head_is_kept_and_decides(
    personal_model: Model, profile: Profile, heart: Heart, cut: Cut, tmp_path: Path
) -> None:
    ecg_mv = two_states(heart, 90)
    found, _ = refitted(personal_model, profile, cut(ecg_mv, FS_HZ), TWO_STRETCHES)
    save_profile(found, tmp_path / "ann.json")
    kept = load_profile(tmp_path / "ann.json")

    def stress(used: Profile) -> list[float]:
        pipeline = Pipeline(personal_model, FS_HZ, profile=used)
        records = [record for block in cut(ecg_mv[: 14 * 256], FS_HZ) for record in pipeline.push(block)]
        answers = [record.decision["stress"] for record in records if record.decision]
        return [one.probabilities["stress"] for one in answers if one is not None]

    assert stress(kept) == stress(found)
    assert np.abs(np.array(stress(kept)) - stress(profile)).max() > 1e-3


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ([], "no marks"),
        ([(0.0, "rest")], "no ground"),
        ([(0.0, "rest"), (60.0, "stress"), (72.0, "end")], "no ground"),
        ([(0.0, "happy"), (45.0, "sad")], "no ground"),
    ],
)
def test_marks_that_teach_nothing_are_refused(
    marks: Marks, said: str, personal_model: Model, profile: Profile, heart: Heart, cut: Cut
) -> None:
    with pytest.raises(DataError, match=said) as caught:
        refitted(personal_model, profile, cut(heart(90, FS_HZ), FS_HZ), marks)
    assert "stress: rest / stress" in caught.value.why
    assert "marks.csv" in caught.value.remedy


def test_a_model_without_a_personal_head_is_refused(model: Model, heart: Heart, cut: Cut) -> None:
    enrolment = Enrolment(model, FS_HZ, duration_s=31)
    for block in cut(heart(32, FS_HZ), FS_HZ):
        enrolment.push(block)
    with pytest.raises(UsageError, match="no personal head"):
        MarkedWindows(model, enrolment.profile(NOON), FS_HZ)


def test_an_hour_of_marks_is_thinned_evenly_and_a_little_is_kept_whole() -> None:
    numbers = np.repeat([-1, 0, 1, -1], [5, 700, 40, 3])
    kept = _thinned(numbers)
    assert ((kept == numbers) | (kept == -1)).all()
    first, second = np.flatnonzero(kept == 0), np.flatnonzero(kept == 1)
    assert (len(first), len(second)) == (MOST_EXAMPLES // 2, 40)
    assert (first[0], first[-1]) == (5, 704)
    assert set(np.diff(first)) <= {7, 8}
