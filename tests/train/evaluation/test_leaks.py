"""Planted leaks: each must be flagged, and honest systems and folds must pass."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ecg_train.baselines import LogisticModel
from edge_ecg_train.evaluation import leaks, probes
from edge_ecg_train.evaluation.baseline import PersonalBaseline
from edge_ecg_train.evaluation.data import Rows, TaskData
from edge_ecg_train.evaluation.leaks import (
    LeakFinding,
    check_baseline,
    check_encoder,
    check_folds,
    find_leaks,
)
from edge_ecg_train.evaluation.probes import probe
from edge_ecg_train.splits import Fold, leave_one_subject_out, random_windows
from edge_ecg_train.systems import make_system
from edge_ecg_train.systems.intervals import intervals_of

NAMES = ("heart_rate_bpm", "sdnn_ms")


def failed(findings: list[LeakFinding]) -> set[str]:
    return {one.check for one in findings if not one.passed}


def test_honest_folds_pass(stress_data: TaskData) -> None:
    findings = check_folds(stress_data, leave_one_subject_out(stress_data.subject))
    assert len(findings) == 4
    assert failed(findings) == set()


def test_the_same_person_on_both_sides(stress_data: TaskData) -> None:
    """One person's windows under stress are tested by a model that saw that person at rest."""
    planted = (stress_data.subject == "made/3") & (stress_data.labels == 1)
    findings = check_folds(stress_data, [Fold("f", np.flatnonzero(~planted), np.flatnonzero(planted))])
    assert failed(findings) == {leaks.NOBODY_TWICE}
    assert "made/3" in next(one.detail for one in findings if not one.passed)


def test_overlapping_windows(stress_data: TaskData) -> None:
    findings = check_folds(stress_data, random_windows(len(stress_data), folds=4))
    assert failed(findings) == {leaks.NOBODY_TWICE, leaks.NO_OVERLAP}
    # The same split of windows that do not overlap.
    apart = np.flatnonzero(stress_data.start_s % 10 == 0)
    fold = Fold("f", apart[::2], apart[1::2])
    assert failed(check_folds(stress_data, [fold])) == {leaks.NOBODY_TWICE}


def test_one_window_under_two_names(stress_data: TaskData) -> None:
    """A recording that two data sets hold: the people have different names."""
    windows = np.array(stress_data.windows)
    windows[stress_data.subject == "made/0"] = windows[stress_data.subject == "made/5"]
    twins = replace(stress_data, windows=windows)
    findings = check_folds(twins, leave_one_subject_out(twins.subject))
    assert failed(findings) == {leaks.NO_WINDOW_TWICE}


def test_a_window_that_is_tested_twice(stress_data: TaskData) -> None:
    folds = list(leave_one_subject_out(stress_data.subject))
    assert failed(check_folds(stress_data, [*folds, folds[0]])) == {leaks.TESTED_ONCE}


def test_statistics_of_the_whole_recording(stress_data: TaskData, tmp_path: Path) -> None:
    assert leaks.check_normalisation(stress_data).passed
    (tmp_path / "store.json").write_text('{"preprocessing": {"normalisation": "recording"}}')
    assert not leaks.check_normalisation(replace(stress_data, store_path=tmp_path)).passed


def test_a_baseline_from_the_end_of_the_recording(stress_data: TaskData) -> None:
    honest = PersonalBaseline.of(stress_data, 30.0)
    assert check_baseline(stress_data, honest).passed
    late = (stress_data.labels == 0) & (stress_data.start_s >= 40.0)
    planted = replace(honest, baseline=late, scored=~late, seconds=70.0)
    finding = check_baseline(stress_data, planted)
    assert not finding.passed
    assert "before it" in finding.detail


def test_a_baseline_that_is_scored_or_too_long(stress_data: TaskData) -> None:
    honest = PersonalBaseline.of(stress_data, 30.0)
    scored = replace(honest, scored=np.ones(len(stress_data), np.bool_))
    assert "are scored" in check_baseline(stress_data, scored).detail
    short = replace(honest, seconds=20.0)
    assert "end after 20 s" in check_baseline(stress_data, short).detail


@pytest.mark.parametrize(
    ("facts", "passed"),
    [
        ({"datasets": [], "subjects": []}, True),
        ({"datasets": ["qtdb"], "subjects": None}, True),
        ({"datasets": ["qtdb", "made"], "subjects": None}, False),
        ({"datasets": ["made"], "subjects": ["made/other"]}, True),
        ({"datasets": ["made"], "subjects": ["made/other", "made/5"]}, False),
        ({"datasets": None, "subjects": None}, False),
    ],
)
def test_an_encoder_pretrained_on_the_tested(
    stress_data: TaskData, facts: dict[str, Any], passed: bool
) -> None:
    assert check_encoder(stress_data, "trunk", facts).passed is passed


@dataclass
class Planted:
    """Logistic regression on heart rate and SDNN, with one leak."""

    leak: str
    calls: list[int] = field(default_factory=list)
    name: str = "planted"

    def config(self) -> dict[str, Any]:
        return {"leak": self.leak}

    def predict(
        self, data: TaskData, train: Rows, test: Rows, baseline: PersonalBaseline | None, seed: int
    ) -> NDArray[np.float64]:
        values = np.nan_to_num(intervals_of(data, NAMES))
        if self.leak == "whole recording of the person":
            for person in np.unique(data.subject):
                theirs = data.subject == person
                values[theirs] = (values[theirs] - values[theirs].mean(0)) / (values[theirs].std(0) + 1e-9)
        elif self.leak == "statistics of all windows":
            rows = np.union1d(train, test)
            values = (values - values[rows].mean(0)) / values[rows].std(0)
            model = LogisticModel(values[train], data.labels[train], 2)
            # Not undone by the model's own standardisation, which this one weakens.
            model._pipeline[1].scale_[:] = 1.0
            return model.probabilities(values[test])
        if baseline is not None:
            values = baseline.apply(values)
        model = LogisticModel(values[train], data.labels[train], 2)
        shown = values[test]
        if self.leak == "who else is tested":
            shown = shown - shown.mean(axis=0) + values[train].mean(axis=0)
        said = model.probabilities(shown)
        if self.leak == "labels of the tested":
            said = 0.9 * said + 0.1 * np.eye(2)[data.labels[test]]
        if self.leak == "none, but chance":
            self.calls.append(1)
            said = np.roll(said, len(self.calls), axis=0)
        return said


@pytest.mark.parametrize("baseline_s", [0.0, 30.0])
@pytest.mark.parametrize(
    ("leak", "checks"),
    [
        ("none", set()),
        ("labels of the tested", {probes.BLIND_TO_LABELS}),
        ("whole recording of the person", {probes.BLIND_TO_OTHERS}),
        ("statistics of all windows", {probes.BLIND_TO_OTHERS, probes.BLIND_TO_COMPANY}),
        ("who else is tested", {probes.BLIND_TO_OTHERS, probes.BLIND_TO_COMPANY}),
    ],
)
def test_a_system_that_leaks(stress_data: TaskData, leak: str, checks: set[str], baseline_s: float) -> None:
    findings = probe(Planted(leak), stress_data, baseline_s=baseline_s)
    assert len(findings) == 3
    assert failed(findings) == checks


def test_a_system_that_never_answers_the_same(stress_data: TaskData) -> None:
    findings = probe(Planted("none, but chance"), stress_data)
    assert failed(findings)
    assert all("same call" in one.detail for one in findings)


def test_too_few_people_to_try_anything(stress_data: TaskData) -> None:
    labels = np.where(np.isin(stress_data.subject, ["made/0", "made/1"]), stress_data.labels, 0)
    assert probe(Planted("none"), replace(stress_data, labels=labels)) == []


def test_the_data_of_a_probe_meet_no_array_of_other_windows(stress_data: TaskData) -> None:
    """What was computed for all windows, or for others, must not be taken for the probe's."""
    intervals_of(stress_data, NAMES)
    trial = probes._Trial.of(stress_data, 0.0, 0, people=4, windows=4)
    whole, changed = intervals_of(trial.data, NAMES), intervals_of(trial.replaced(), NAMES)
    same = (np.nan_to_num(whole) == np.nan_to_num(changed)).all(axis=1)
    others = np.isin(np.arange(len(trial.data)), np.setdiff1d(trial.test, trial.kept))
    np.testing.assert_array_equal(same, ~others)


def test_all_checks_on_an_honest_evaluation(stress_data: TaskData) -> None:
    systems = [make_system({"kind": "heart", "personal": True})]
    named: list[str] = []
    findings = find_leaks(
        stress_data,
        {"leave-one-subject-out": list(leave_one_subject_out(stress_data.subject))},
        systems,
        encoders={"frozen": {"datasets": ["elsewhere"], "subjects": None}},
        baselines_s=(0, 15, 30),
        on_probe=named.append,
    )
    assert failed(findings) == set()
    assert named == [one.name for one in systems]
    # Normalisation, four of the folds, two baselines, one encoder, three for the system with and without.
    assert len(findings) == 1 + 4 + 2 + 1 + 2 * 3
