"""Wherever cells run, the numbers are the same, bit for bit."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ecg.errors import UsageError
from edge_ecg_train.datasets import DATASETS
from edge_ecg_train.evaluation.cells import Cell, Outcome, finished
from edge_ecg_train.evaluation.data import TaskData
from edge_ecg_train.evaluation.executors import make_executor, usable_cores
from edge_ecg_train.evaluation.predictions import Predictions
from edge_ecg_train.prepare import Preparation, prepare
from edge_ecg_train.store import WindowStore


@pytest.fixture
def store(fake_data: Any, tmp_path: Path) -> WindowStore:
    root = fake_data.eegmat(people=3, rest_s=45.0)
    return prepare([(DATASETS["eegmat"], root)], tmp_path / "store", Preparation(hop_s=5))


def cells_in(store: WindowStore, folder: Path, seeds: int = 2) -> list[Cell]:
    """A linear and a random system, a few seeds, and one cell that must fail."""
    data = TaskData.of(store, "stress", datasets=["eegmat"], cache=folder / "features")
    out = []
    for table, seed, baseline_s in [
        *(({"kind": "heart"}, seed, 0.0) for seed in range(seeds)),
        *(({"kind": "classical", "model": "knn", "groups": ["time"]}, seed, 30.0) for seed in range(seeds)),
        ({"kind": "heart"}, 0, 3.0),
    ]:
        config = {
            "version": 1,
            "name": str(table["kind"]),
            "system": table,
            "encoders": [],
            "data": data.key,
            "datasets": ["eegmat"],
            "task": "stress",
            "protocol": "leave-one-subject-out",
            "split": "leave-one-subject-out",
            "baseline_s": baseline_s,
            "label_fraction": 1.0,
            "seed": seed,
            "fold": None,
        }
        places = {
            "store": str(store.path),
            "cache": str(folder / "features"),
            "results": str(folder / "cells"),
            "system": table,
        }
        out.append(Cell(config, places))
    return out


def check_equal_to_serial(
    store: WindowStore, tmp_path: Path, outcomes: Iterator[Outcome], cells: list[Cell]
) -> None:
    got = {outcome.key: outcome for outcome in outcomes}
    assert set(got) == {cell.key for cell in cells}
    failed = [cell for cell in cells if got[cell.key].failure is not None]
    assert [cell.config["baseline_s"] for cell in failed] == [3.0]
    assert "in the first 3 s" in str(got[failed[0].key].failure)
    assert got[failed[0].key].failure.remedy  # type: ignore[union-attr]
    reference = cells_in(store, tmp_path / "serial")
    assert len(list(make_executor("serial")(reference))) == len(cells)
    for ours, theirs in zip(cells, reference, strict=True):
        mine, serial = finished(ours), finished(theirs)
        if ours in failed:
            assert mine is None
            continue
        assert isinstance(mine, Predictions)
        assert isinstance(serial, Predictions)
        np.testing.assert_array_equal(mine.probabilities, serial.probabilities)
        np.testing.assert_array_equal(mine.subject, serial.subject)


@pytest.mark.slow
def test_joblib(store: WindowStore, tmp_path: Path) -> None:
    cells = cells_in(store, tmp_path / "joblib")
    check_equal_to_serial(store, tmp_path, make_executor("joblib", jobs=2)(cells), cells)


@pytest.mark.slow
def test_ray_on_two_nodes(store: WindowStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    with warnings.catch_warnings():
        # Ray leaves sockets and log files to the garbage collector.
        warnings.simplefilter("ignore")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        try:
            cluster.add_node(num_cpus=1)
            cluster.wait_for_nodes()
            cells = cells_in(store, tmp_path / "ray")
            execute = make_executor("ray", address=cluster.address)
            check_equal_to_serial(store, tmp_path, execute(cells), cells)
            assert not ray.is_initialized()
        finally:
            cluster.shutdown()
            gc.collect()


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["local", "debug"])
def test_slurm_through_submitit(store: WindowStore, tmp_path: Path, cluster: str) -> None:
    pytest.importorskip("submitit")
    cells = cells_in(store, tmp_path / "slurm")
    execute = make_executor("slurm", jobs=2, options={"cluster": cluster, "timeout_min": 5})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # submitit leaves its log files to the garbage collector
        check_equal_to_serial(store, tmp_path, execute(cells), cells)
        gc.collect()


def test_stopping_early_keeps_what_is_done(store: WindowStore, tmp_path: Path) -> None:
    cells = cells_in(store, tmp_path / "serial", seeds=3)
    outcomes = make_executor("serial")(cells)
    assert next(outcomes).failure is None
    outcomes.close()
    assert [finished(cell) is not None for cell in cells] == [True] + [False] * (len(cells) - 1)


@pytest.mark.slow
def test_joblib_stopped_early_leaves_no_broken_result(store: WindowStore, tmp_path: Path) -> None:
    cells = cells_in(store, tmp_path / "joblib", seeds=3)
    outcomes = make_executor("joblib", jobs=2)(cells)
    first = next(outcomes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joblib announces the tasks that it gives up
        outcomes.close()
    done = next(cell for cell in cells if cell.key == first.key)
    assert finished(done) is not None or first.failure is not None
    again = {outcome.key for outcome in make_executor("serial")(cells)}
    assert len(again) == len(cells)
    assert sum(finished(cell) is not None for cell in cells) == len(cells) - 1


def test_what_does_not_exist_is_a_sentence() -> None:
    with pytest.raises(UsageError, match="no executor 'dask'"):
        make_executor("dask")
    with pytest.raises(UsageError, match="--jobs cannot be -1"):
        make_executor("joblib", jobs=-1)
    with pytest.raises(UsageError, match="no device 'gpu'"):
        make_executor("joblib", devices=("gpu",))
    with pytest.raises(UsageError, match="no GPU 99 here"):
        make_executor("serial", devices=("99",))
    assert usable_cores() >= 1
