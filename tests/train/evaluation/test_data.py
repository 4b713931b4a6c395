"""The labelled windows that systems see: the right rows, under a key that tells whether anything changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ecg.errors import DataError
from edge_ecg_train.evaluation.data import TaskData
from edge_ecg_train.prepare import Preparation
from edge_ecg_train.store import WindowStore
from edge_ecg_train.store_writer import StoreWriter, WindowMeta


def write_store(path: Path, labels: list[int], *, dataset: str = "mine", seed: int = 0) -> WindowStore:
    """A store of noise, two windows a person; label -1 stands for none."""
    rng = np.random.default_rng(seed)
    with StoreWriter(path, overwrite=True) as writer:
        for number, label in enumerate(labels):
            writer.append(
                rng.standard_normal(2560).astype(np.float32),
                WindowMeta(
                    dataset=dataset,
                    subject=f"{dataset}/{number // 2}",
                    session="a",
                    lead="I",
                    start_s=5.0 * number,
                    heart_rate_bpm=70.0,
                    quality=1.0,
                    labels={} if label < 0 else {"stress": label},
                ),
            )
        return writer.commit(
            preprocessing=Preparation().preprocessing,
            labels={"stress": ("rest", "stress")},
            datasets=[{"name": dataset, "windows": len(labels)}],
            windowing={"fs_hz": 256, "window_samples": 2560, "hop_s": 5, "kept": "good"},
        )


def test_only_labelled_windows_in_the_stores_order(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", [0, -1, 1, 1, -1, 0])
    data = TaskData.of(store, "stress")
    rows = [0, 2, 3, 5]
    np.testing.assert_array_equal(data.windows, store.windows[rows])
    np.testing.assert_array_equal(data.labels, [0, 1, 1, 0])
    np.testing.assert_array_equal(data.start_s, store.start_s[rows])
    assert data.subject.tolist() == store.subject[rows].tolist()
    assert data.names == ("rest", "stress")
    assert isinstance(data.windows, np.memmap)


def test_windows_in_one_piece_are_not_copied(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", [-1, 0, 1, 1, -1])
    data = TaskData.of(store, "stress")
    assert np.shares_memory(data.windows, store.windows)
    assert not (store.path / "cache").exists()


def test_a_damaged_copy_of_windows_is_made_again(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", [0, -1, 1])
    whole = np.array(TaskData.of(store, "stress").windows)
    (copy,) = (store.path / "cache").iterdir()
    copy.write_bytes(copy.read_bytes()[:100])
    np.testing.assert_array_equal(TaskData.of(store, "stress").windows, whole)


def test_the_key_changes_with_windows_and_labels_only(tmp_path: Path) -> None:
    labels = [0, 1, 0, 1]
    key = TaskData.of(write_store(tmp_path / "a", labels), "stress").key
    moved = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "a", moved)
    assert TaskData.of(WindowStore.open(moved), "stress").key == key
    assert TaskData.of(write_store(tmp_path / "b", [0, 1, 1, 0]), "stress").key != key
    assert TaskData.of(write_store(tmp_path / "c", labels, seed=1), "stress").key != key


def test_a_store_that_was_replaced_has_another_key(tmp_path: Path) -> None:
    first = TaskData.of(write_store(tmp_path / "store", [0, 1]), "stress").key
    again = write_store(tmp_path / "store", [0, 1], seed=1)
    os.utime(again.path / "windows.npy", ns=(1, 1))
    assert TaskData.of(again, "stress").key != first


def test_arrays_are_computed_once_and_kept(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", [0, 1, 0, 1])
    calls = []

    def make() -> Any:
        calls.append(1)
        return np.arange(8.0).reshape(4, 2)

    for _ in range(2):
        data = TaskData.of(store, "stress", cache=tmp_path / "cache")
        for _ in range(2):
            np.testing.assert_array_equal(data.cached("features 1", make), np.arange(8.0).reshape(4, 2))
    assert len(calls) == 1
    data.cached("features 2", make)
    assert len(calls) == 2
    other = TaskData.of(write_store(tmp_path / "other", [1, 0, 1, 0]), "stress", cache=tmp_path / "cache")
    other.cached("features 1", make)
    assert len(calls) == 3


@pytest.mark.parametrize("damage", [b"", b"not numpy", None])
def test_a_damaged_array_is_computed_again(tmp_path: Path, damage: bytes | None) -> None:
    store = write_store(tmp_path / "store", [0, 1])
    TaskData.of(store, "stress", cache=tmp_path / "cache").cached("x", lambda: np.ones(2))
    (place,) = (tmp_path / "cache").iterdir()
    place.write_bytes(place.read_bytes()[:-4] if damage is None else damage)
    again = TaskData.of(store, "stress", cache=tmp_path / "cache").cached("x", lambda: np.full(2, 7.0))
    assert again.tolist() == [7.0, 7.0]
    fresh = TaskData.of(store, "stress", cache=tmp_path / "cache").cached("x", lambda: np.zeros(2))
    assert fresh.tolist() == [7.0, 7.0]


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", [0, 1])
    (tmp_path / "file").write_text("in the way")
    data = TaskData.of(store, "stress", cache=tmp_path / "file")
    assert data.cached("x", lambda: np.ones(2)).tolist() == [1.0, 1.0]


def test_an_array_of_other_rows_is_a_bug(tmp_path: Path) -> None:
    data = TaskData.of(write_store(tmp_path / "store", [0, 1]), "stress")
    with pytest.raises(ValueError, match="3 rows for 2 windows"):
        data.cached("x", lambda: np.ones(3))


def test_data_sets_without_the_task_are_a_sentence(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", [0, 1])
    with pytest.raises(DataError, match=r"No window of .* has a label for the task 'stress'"):
        TaskData.of(store, "stress", datasets=["eegmat"])
    with pytest.raises(DataError, match="no labels for the task 'valence'"):
        TaskData.of(store, "valence")
