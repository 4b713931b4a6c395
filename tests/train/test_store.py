"""A store is whole or absent, and says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ecg.errors import DataError
from edge_ecg_train.prepare import Preparation
from edge_ecg_train.store import NO_LABEL, WindowStore, preprocessing_hash
from edge_ecg_train.store_writer import StoreWriter, WindowMeta

PREPROCESSING = Preparation().preprocessing


def _meta(number: int, **changes: object) -> WindowMeta:
    values: dict[str, object] = {
        "dataset": "eegmat",
        "subject": f"eegmat/S{number % 3:02}",
        "session": "rest",
        "lead": "ECG",
        "start_s": 1.0 + 10.0 * number,
        "heart_rate_bpm": 70.0 + number,
        "quality": 0.9,
        "labels": {"stress": number % 2},
    }
    return WindowMeta(**{**values, **changes})


def _windows(n: int) -> NDArray[np.float32]:
    return np.random.default_rng(n).standard_normal((n, 2560)).astype(np.float32)


def _write(path: Path, n: int, *, overwrite: bool = False) -> WindowStore:
    with StoreWriter(path, overwrite=overwrite) as writer:
        for number, window in enumerate(_windows(n)):
            labels = {} if number == 1 else {"stress": number % 2}
            rate = float("nan") if number == 1 else 70.0 + number
            writer.append(window, _meta(number, labels=labels, heart_rate_bpm=rate))
        return writer.commit(
            preprocessing=PREPROCESSING,
            labels={"stress": ("rest", "stress")},
            datasets=[{"name": "eegmat"}],
            windowing={"hop_s": 10},
        )


@pytest.mark.parametrize("n", [1, 7, 1234])
def test_round_trip(tmp_path: Path, n: int) -> None:
    _write(tmp_path / "deep" / "store", n)
    store = WindowStore.open(tmp_path / "deep" / "store")
    assert isinstance(store.windows, np.memmap)
    assert not store.windows.flags.writeable
    assert len(store) == n
    np.testing.assert_array_equal(store.windows, _windows(n))
    expected = np.arange(n) % 2
    expected[1:2] = NO_LABEL
    np.testing.assert_array_equal(store.label("stress"), expected)
    np.testing.assert_array_equal(store.subject, [f"eegmat/S{i % 3:02}" for i in range(n)])
    np.testing.assert_array_equal(store.start_s, 1.0 + 10.0 * np.arange(n))
    assert np.isnan(store.heart_rate_bpm[1:2]).all()
    assert np.isfinite(np.delete(store.heart_rate_bpm, slice(1, 2))).all()
    assert store.tasks == {"stress": ("rest", "stress")}
    assert store.preprocessing == PREPROCESSING
    assert store.preprocessing_hash == preprocessing_hash(PREPROCESSING)
    assert [entry.name for entry in (tmp_path / "deep").iterdir()] == ["store"]


def test_windows_npy_is_an_ordinary_npy(tmp_path: Path) -> None:
    _write(tmp_path / "store", 5)
    windows = np.load(tmp_path / "store" / "windows.npy")
    assert windows.shape == (5, 2560)
    assert windows.dtype == np.float32


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_store_leaves_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    def work() -> None:
        with StoreWriter(tmp_path / "store") as writer:
            writer.append(_windows(1)[0], _meta(0))
            raise failure

    with pytest.raises(failure):
        work()
    assert list(tmp_path.iterdir()) == []


def test_leaving_without_commit_leaves_nothing(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store") as writer:
        writer.append(_windows(1)[0], _meta(0))
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_overwrite_keeps_the_old_store(tmp_path: Path) -> None:
    _write(tmp_path / "store", 3)
    with StoreWriter(tmp_path / "store", overwrite=True) as writer:
        writer.append(_windows(1)[0], _meta(0))
    assert len(WindowStore.open(tmp_path / "store")) == 3


def test_a_store_is_replaced_only_when_asked(tmp_path: Path) -> None:
    _write(tmp_path / "store", 3)
    with pytest.raises(DataError, match="already a window store"):
        StoreWriter(tmp_path / "store")
    assert len(_write(tmp_path / "store", 4, overwrite=True)) == 4
    assert [entry.name for entry in tmp_path.iterdir()] == ["store"]


def test_an_interrupt_at_the_last_moment_keeps_the_old_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "store"
    _write(place, 3)
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if target == place and not place.exists() and len(list(tmp_path.iterdir())) == 2:
            monkeypatch.setattr(Path, "rename", rename)
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _write(place, 4, overwrite=True)
    assert len(WindowStore.open(place)) == 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["store"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_anything_else_is_never_replaced(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "precious"
    if kind == "file":
        place.write_text("thesis")
    else:
        place.mkdir()
        (place / "thesis.txt").write_text("thesis")
    with pytest.raises(DataError, match="no window store"):
        StoreWriter(place, overwrite=True)
    assert place.exists()


def test_an_empty_folder_may_become_a_store(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    assert len(_write(tmp_path / "store", 2)) == 2


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"), StoreWriter(tmp_path / "file" / "store"):
        pass


@pytest.mark.parametrize("room", [1000, 30_000, 10_240 * 30 + 500])
def test_a_disk_that_fills_up_is_a_sentence_and_leaves_nothing(tmp_path: Path, room: int) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(DataError, match="cannot be written"):
            _write(tmp_path / "store", 40)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_windows_of_another_shape_are_refused(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store") as writer:
        with pytest.raises(ValueError, match="2560"):
            writer.append(np.zeros(2559, dtype=np.float32), _meta(0))
        with pytest.raises(ValueError, match="float32"):
            writer.append(np.zeros(2560), _meta(0))


def test_a_task_without_labels(tmp_path: Path) -> None:
    store = _write(tmp_path / "store", 2)
    with pytest.raises(DataError, match="no labels for the task 'valence'") as caught:
        store.label("valence")
    assert "stress" in caught.value.why


def _without(store: Path, key: str, instead: object = None) -> None:
    info = json.loads((store / "store.json").read_text())
    (store / "store.json").write_text(json.dumps({**info, key: instead}))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: (p / "store.json").unlink(), "no window store"),
        (lambda p: (p / "store.json").write_text("{"), "damaged"),
        (lambda p: (p / "store.json").write_text("[]"), "damaged"),
        (lambda p: (p / "store.json").write_text('{"schema": 2}'), "schema 2"),
        (lambda p: (p / "store.json").write_text('{"schema": 1}'), "damaged"),
        (lambda p: (p / "meta.npz").unlink(), "damaged"),
        (lambda p: (p / "meta.npz").write_bytes(b"PK\x03\x04"), "damaged"),
        (lambda p: (p / "windows.npy").unlink(), "damaged"),
        (lambda p: (p / "windows.npy").write_bytes((p / "windows.npy").read_bytes()[:-4]), "damaged"),
        (lambda p: np.save(p / "windows.npy", np.zeros((2, 2560), np.float32)), "do not belong together"),
        (lambda p: np.save(p / "windows.npy", np.zeros((3, 2560))), "do not belong together"),
        (lambda p: np.save(p / "windows.npy", np.zeros((3, 100), np.float32)), "do not belong together"),
        (lambda p: _without(p, "preprocessing_hash"), "'preprocessing_hash' is missing"),
        (lambda p: _without(p, "datasets"), "'datasets' is missing"),
        (lambda p: _without(p, "labels", ["stress"]), "'labels' is missing or of another kind"),
        (lambda p: _without(p, "labels", {"stress": []}), "names none of its classes"),
    ],
)
def test_damage_is_a_sentence(tmp_path: Path, change: Any, sentence: str) -> None:
    _write(tmp_path / "store", 3)
    change(tmp_path / "store")
    with pytest.raises(DataError, match=sentence):
        WindowStore.open(tmp_path / "store")


@pytest.mark.parametrize(
    "other",
    [Preparation(normalisation="recording"), Preparation(notch_hz=50.0), Preparation(notch_hz=60.0)],
)
def test_the_hash_follows_the_preprocessing(other: Preparation) -> None:
    assert preprocessing_hash(other.preprocessing) != preprocessing_hash(PREPROCESSING)


def test_the_hash_covers_every_constant() -> None:
    for name in PREPROCESSING:
        changed = {**PREPROCESSING, name: "something else"}
        assert preprocessing_hash(changed) != preprocessing_hash(PREPROCESSING)
    assert preprocessing_hash(dict(reversed(PREPROCESSING.items()))) == preprocessing_hash(PREPROCESSING)


def test_the_hash_does_not_follow_which_windows_are_kept() -> None:
    assert Preparation(hop_s=5, keep_bad=True).preprocessing == PREPROCESSING


def test_a_store_of_before_the_rules_can_be_read(tmp_path: Path) -> None:
    written = _write(tmp_path / "store", 4)
    file = tmp_path / "store" / "store.json"
    info = json.loads(file.read_text())
    del info["labelling"], info["labels_hash"]
    file.write_text(json.dumps(info))
    store = WindowStore.open(tmp_path / "store")
    assert store.labelling == {"kind": "whole", "rules": {}}
    assert (store.labels_hash, store.store_hash) == (written.labels_hash, written.store_hash)


def test_the_default_preprocessing_keeps_its_hash() -> None:
    """Runs and bundles remember it: when it changes, no store fits them any more."""
    assert preprocessing_hash(PREPROCESSING).startswith("35191119e61a4bff")


def test_store_json_is_readable(tmp_path: Path) -> None:
    _write(tmp_path / "store", 2)
    info = json.loads((tmp_path / "store" / "store.json").read_text())
    assert info["schema"] == 1
    assert info["windows"] == 2
    assert info["labels"] == {"stress": ["rest", "stress"]}
