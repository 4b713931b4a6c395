"""Making systems from tables, and what all of them refuse."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from edge_ecg.errors import DataError, UsageError
from edge_ecg_train.evaluation.baseline import PersonalBaseline
from edge_ecg_train.evaluation.data import TaskData
from edge_ecg_train.systems import make_system

RANDOM = {"random": 0}
TABLES: list[dict[str, Any]] = [
    {"kind": "heart"},
    {"kind": "heart", "intervals": ["heart_rate_bpm"]},
    {"kind": "heart", "personal": True},
    *(
        {"kind": "classical", "model": one}
        for one in ("logistic", "svm", "forest", "knn", "lda", "naive-bayes")
    ),
    {"kind": "encoder", "encoder": RANDOM, "head": {"c": 0.01}},
    {"kind": "encoder", "encoder": RANDOM, "head": {"preset": "mlp"}},
    {"kind": "hybrid", "encoder": RANDOM},
    {"kind": "hybrid", "encoder": RANDOM, "head": {"fusion": "early"}},
    {"kind": "nested", "encoder": RANDOM, "candidates": [{"kind": "heart"}, {"kind": "hybrid"}]},
    {"kind": "end-to-end", "training": {"epochs": 2}},
    {"kind": "end-to-end", "encoder": RANDOM},
    {"kind": "transformer"},
]


def test_each_table_makes_a_system_of_its_own() -> None:
    systems = [make_system(table) for table in TABLES]
    assert len({one.name for one in systems}) == len(TABLES)
    configs = [json.dumps(one.config(), sort_keys=True) for one in systems]
    assert len(set(configs)) == len(TABLES)
    assert [one.config() for one in map(make_system, TABLES)] == [one.config() for one in systems]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"kind": "oracle"}, "oracle"),
        ({}, "None"),
        ({"kind": "heart", "interval": []}, "interval"),
        ({"kind": "heart", "intervals": ["pulse"]}, "pulse"),
        ({"kind": "heart", "intervals": []}, "interval feature"),
        ({"kind": "classical", "model": "oracle"}, "oracle"),
        ({"kind": "classical", "groups": ["space"]}, "space"),
        ({"kind": "encoder"}, "encoder"),
        ({"kind": "encoder", "encoder": RANDOM, "head": {"preset": "oracle"}}, "oracle"),
        ({"kind": "encoder", "encoder": RANDOM, "heads": {}}, "heads"),
        ({"kind": "encoder", "encoder": RANDOM, "head": {"rounding_penalty": 1.0}}, "rounding penalty"),
        ({"kind": "hybrid", "encoder": RANDOM, "head": {"kind": "mlp"}}, "mlp"),
        ({"kind": "hybrid", "encoder": RANDOM, "head": {"personal": ["pulse"]}}, "pulse"),
        ({"kind": "nested", "candidates": [{"kind": "heart"}]}, "two candidates"),
        ({"kind": "nested", "folds": 1, "candidates": [{"kind": "heart"}] * 2}, "folds"),
        ({"kind": "end-to-end", "training": {"epoch": 1}}, "epoch"),
    ],
)
def test_tables_without_sense(table: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_system(table)


def test_one_class_is_too_few(stress_data: TaskData) -> None:
    rest = np.flatnonzero(stress_data.labels == 0)
    with pytest.raises(DataError, match="1 class"):
        make_system({"kind": "heart"}).predict(stress_data, rest, np.arange(3), None, 0)


def test_baseline_windows_are_not_scored(stress_data: TaskData) -> None:
    baseline = PersonalBaseline.of(stress_data, 30.0)
    scored = np.flatnonzero(baseline.scored)
    system = make_system({"kind": "heart"})
    with pytest.raises(ValueError, match="cannot be scored"):
        system.predict(stress_data, scored, np.flatnonzero(baseline.baseline)[:1], baseline, 0)
    # To train on them is no mistake: they are left out, for nothing can be said of them.
    everything = np.arange(len(stress_data))
    np.testing.assert_array_equal(
        system.predict(stress_data, everything, scored[:5], baseline, 0),
        system.predict(stress_data, scored, scored[:5], baseline, 0),
    )
