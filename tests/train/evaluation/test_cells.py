"""A cell is a function of its config: computed once, computed again when its file is not whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edge_ecg.errors import DataError
from edge_ecg_train.datasets import DATASETS
from edge_ecg_train.evaluation.baseline import PersonalBaseline
from edge_ecg_train.evaluation.cells import Cell, compute, finished, one_thread, predictions_of, run_cell
from edge_ecg_train.evaluation.data import Rows, TaskData
from edge_ecg_train.evaluation.predictions import Predictions
from edge_ecg_train.prepare import Preparation, prepare
from edge_ecg_train.store import WindowStore


class Witness:
    """Says what it was asked for: the share of training rows, and which rows it was given."""

    name = "witness"

    def __init__(self) -> None:
        self.calls: list[tuple[Rows, Rows, PersonalBaseline | None, int]] = []

    def config(self) -> dict[str, Any]:
        return {"kind": "witness"}

    def predict(
        self, data: TaskData, train: Rows, test: Rows, baseline: PersonalBaseline | None, seed: int
    ) -> NDArray[np.float64]:
        self.calls.append((train, test, baseline, seed))
        p = (test + 1.0) / (len(data) + 2.0)  # the row's number, to be found again
        return np.stack([1.0 - p, p], axis=1)

    def facts(
        self, data: TaskData, train: Rows, baseline: PersonalBaseline | None, seed: int
    ) -> dict[str, Any]:
        return {"trained": len(train)}


@pytest.fixture
def store(fake_data: Any, tmp_path: Path) -> WindowStore:
    root = fake_data.eegmat(people=4, rest_s=45.0)
    return prepare([(DATASETS["eegmat"], root)], tmp_path / "store", Preparation(hop_s=5))


def settings(data: TaskData, /, **changes: Any) -> dict[str, Any]:
    plain = {
        "version": 1,
        "name": "three heart features",
        "system": {"kind": "heart"},
        "encoders": [],
        "data": data.key,
        "datasets": ["eegmat"],
        "task": "stress",
        "protocol": "leave-one-subject-out",
        "split": "leave-one-subject-out",
        "baseline_s": 0.0,
        "label_fraction": 1.0,
        "seed": 0,
        "fold": None,
    }
    return {**plain, **changes}


def cell_of(store: WindowStore, folder: Path, **changes: Any) -> Cell:
    data = TaskData.of(store, "stress", datasets=["eegmat"], cache=folder / "features")
    places: Mapping[str, Any] = {
        "store": str(store.path),
        "cache": str(folder / "features"),
        "results": str(folder / "cells"),
        "system": {"kind": "heart"},
    }
    return Cell(settings(data, **changes), places)


def test_every_fold_is_predicted_without_its_people(store: WindowStore) -> None:
    data, system = TaskData.of(store, "stress"), Witness()
    out = predictions_of(system, data, settings(data, seed=7))
    assert [seed for *_, seed in system.calls] == [7] * 4
    for train, test, baseline, _ in system.calls:
        assert baseline is None
        assert len(train) + len(test) == len(data)
        assert not set(data.subject[train]) & set(data.subject[test])
    # What is filed for a row is what was said of that row.
    rows = np.round(out.probabilities[:, 1] * (len(data) + 2) - 1).astype(int)
    assert sorted(rows.tolist()) == list(range(len(data)))
    for name in ("subject", "session", "start_s", "labels"):
        np.testing.assert_array_equal(getattr(out, name), getattr(data, name)[rows])
    np.testing.assert_array_equal(out.fold, out.subject)
    assert out.facts == {fold: {"trained": int((data.subject != fold).sum())} for fold in set(out.fold)}
    assert (out.system, out.protocol, out.seed) == ("three heart features", "leave-one-subject-out", 7)


def test_with_a_baseline_only_comparable_rows_take_part(store: WindowStore) -> None:
    data, system = TaskData.of(store, "stress"), Witness()
    out = predictions_of(system, data, settings(data, baseline_s=30.0))
    expected = PersonalBaseline.of(data, 30.0)
    assert expected.baseline.any()
    assert len(out) == expected.scored.sum() < len(data)
    for train, test, baseline, _ in system.calls:
        assert baseline is not None
        assert baseline.seconds == 30.0
        assert expected.scored[train].all()
        assert expected.scored[test].all()


def test_a_share_of_labels_leaves_the_test_rows_alone(store: WindowStore) -> None:
    data, system = TaskData.of(store, "stress"), Witness()
    out = predictions_of(system, data, settings(data, label_fraction=0.2))
    assert len(out) == len(data)
    for train, test, _, _ in system.calls:
        rest = len(data) - len(test)
        assert len(train) == pytest.approx(0.2 * rest, abs=1.0)
        assert set(data.labels[train]) == {0, 1}


def test_one_fold_is_a_part_of_all(store: WindowStore, tmp_path: Path) -> None:
    whole = run_cell(cell_of(store, tmp_path))
    fold = str(whole.fold[0])
    part = run_cell(cell_of(store, tmp_path, fold=fold))
    rows = whole.fold == fold
    np.testing.assert_array_equal(part.probabilities, whole.probabilities[rows])
    np.testing.assert_array_equal(part.start_s, whole.start_s[rows])


def test_a_result_is_computed_once(store: WindowStore, tmp_path: Path) -> None:
    cell = cell_of(store, tmp_path)
    assert finished(cell) is None
    assert compute(cell).failure is None
    first = cell.result.read_bytes()
    # Nothing is left of the data, so a second computation would fail.
    for file in store.path.iterdir():
        file.unlink()
    assert compute(cell).failure is None
    assert cell.result.read_bytes() == first


@pytest.mark.parametrize("damage", ["cut", "empty", "another cell's"])
def test_a_damaged_result_is_computed_again(store: WindowStore, tmp_path: Path, damage: str) -> None:
    cell = cell_of(store, tmp_path)
    compute(cell)
    whole = finished(cell)
    assert whole is not None
    if damage == "another cell's":
        replace(whole, config={**whole.config, "seed": 9}).save(cell.result)
    else:
        cell.result.write_bytes(cell.result.read_bytes()[:500] if damage == "cut" else b"")
    assert finished(cell) is None
    compute(cell)
    again = finished(cell)
    assert again is not None
    np.testing.assert_array_equal(again.probabilities, whole.probabilities)


def test_the_key_depends_on_what_matters_and_not_on_places(store: WindowStore, tmp_path: Path) -> None:
    cell = cell_of(store, tmp_path)
    assert cell_of(store, tmp_path / "elsewhere").key == cell.key
    changes: list[dict[str, Any]] = [
        {"version": 2},
        {"data": "x"},
        {"encoders": ["x"]},
        {"system": {"kind": "heart", "intervals": []}},
        {"baseline_s": 15.0},
        {"label_fraction": 0.1},
        {"seed": 1},
        {"fold": "a"},
        {"split": "grouped-2"},
    ]
    keys = {cell_of(store, tmp_path, **change).key for change in changes}
    assert len(keys) == len(changes)
    assert cell.key not in keys


def test_a_store_that_changed_is_noticed(store: WindowStore, tmp_path: Path) -> None:
    outcome = compute(cell_of(store, tmp_path, data="another"))
    assert isinstance(outcome.failure, DataError)
    assert "changed since the sweep began" in str(outcome.failure)
    assert not (tmp_path / "cells").exists()


def test_a_foreseen_failure_is_an_outcome(store: WindowStore, tmp_path: Path) -> None:
    outcome = compute(cell_of(store, tmp_path, baseline_s=5.0))
    assert isinstance(outcome.failure, DataError)
    assert "in the first 5 s" in str(outcome.failure)


def test_results_do_not_depend_on_threads() -> None:
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_what_a_progress_line_says(store: WindowStore, tmp_path: Path) -> None:
    cell = cell_of(store, tmp_path, baseline_s=60.0, label_fraction=0.1, fold="eegmat/S00")
    assert cell.label == (
        "three heart features, leave-one-subject-out, baseline 60 s, 10% of labels, seed 0, eegmat/S00"
    )
    assert isinstance(run_cell(cell_of(store, tmp_path)), Predictions)


class OutOfMemoryError(RuntimeError):
    """As PyTorch's, by name."""


@pytest.mark.parametrize("error", [MemoryError("2 TB"), OutOfMemoryError("CUDA out of memory. Tried 2 GiB.")])
def test_a_cell_too_large_for_the_memory_costs_that_cell_alone(
    store: WindowStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def too_large(cell: Cell) -> None:
        raise error

    monkeypatch.setattr("edge_ecg_train.evaluation.cells.run_cell", too_large)
    failure = compute(cell_of(store, tmp_path)).failure
    assert failure is not None
    assert "--jobs" in failure.remedy
