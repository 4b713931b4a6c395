"""The Transformer as a system of the evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_ecg.errors import UsageError
from edge_ecg_train.evaluation.baseline import PersonalBaseline
from edge_ecg_train.evaluation.data import TaskData
from edge_ecg_train.run_dir import RunDir
from edge_ecg_train.store_writer import StoreWriter, WindowMeta
from edge_ecg_train.systems.base import make_system
from edge_ecg_train.transformer.encoder_file import save_transformer
from edge_ecg_train.transformer.network import TransformerNetwork

TRAINING = {"epochs": 20, "batch_windows": 8, "learning_rate": 3e-3, "hidden": [8], "dropout": 0.0}


@pytest.fixture
def data(tmp_path: Path, beats) -> TaskData:
    """Each person rests first, 40 s long, then is under stress."""
    with StoreWriter(tmp_path / "windows") as writer:
        for person in np.unique(beats.subject):
            mine = np.flatnonzero(beats.subject == person)
            for number, row in enumerate(sorted(mine, key=lambda one: beats.labels[one])):
                labels = {"stress": int(beats.labels[row])}
                session = ("rest", "task")[labels["stress"]]
                meta = WindowMeta(
                    "made-up", str(person), session, "I", 10.0 * (number % 3), 60.0, 1.0, labels
                )
                writer.append(beats.windows[row], meta)
        store = writer.commit(
            preprocessing={},
            labels={"stress": ("rest", "stress")},
            datasets=[{"name": "made-up"}],
            windowing={"hop_s": 10.0},
        )
    return TaskData.of(store, "stress")


def test_a_fold(data, tiny, tmp_path):
    run = RunDir(tmp_path / "run")
    run.create()
    save_transformer(run.encoder, TransformerNetwork(tiny))
    system = make_system(
        {
            "kind": "transformer",
            "encoder": {"run": str(run.path)},
            "training": {**TRAINING, "pooling": "mean"},
        }
    )
    test = np.flatnonzero(data.subject == "p3")
    train = np.flatnonzero(data.subject != "p3")
    said = system.predict(data, train, test, None, 0)
    assert said.shape == (6, 2)
    assert (said.argmax(1) == data.labels[test]).mean() >= 5 / 6
    assert np.array_equal(said, system.predict(data, train, test, None, 0))
    # What the test rows of others say changes nothing.
    assert system.predict(data, train, test[:2], None, 0) == pytest.approx(said[:2], abs=1e-5)


def test_with_a_personal_baseline(data, tiny, tmp_path):
    baseline = PersonalBaseline.of(data, 20.0)
    run = RunDir(tmp_path / "run")
    run.create()
    save_transformer(run.encoder, TransformerNetwork(tiny))
    system = make_system({"kind": "transformer", "encoder": {"run": str(run.path)}, "training": TRAINING})
    scored = np.flatnonzero(baseline.scored)
    test = scored[data.subject[scored] == "p3"]
    train = scored[data.subject[scored] != "p3"]
    said = system.predict(data, train, test, baseline, 0)
    assert said.shape == (len(test), 2)
    assert np.isfinite(said).all()


def test_what_is_filed(data, tiny):
    random = make_system({"kind": "transformer"})
    assert random.name == "transformer from random weights"
    assert random.config()["network"]["layers"] == 2
    full = make_system({"kind": "transformer", "network": "full", "training": {"epochs": 9}})
    assert full.config()["network"]["layers"] == 4
    assert full.config()["training"]["epochs"] == 9
    pretrained = make_system({"kind": "transformer", "encoder": {"run": "/somewhere"}})
    assert "/somewhere" not in str(pretrained.config())
    for wrong in ({"network": "huge"}, {"training": {"epoch": 1}}, {"depth": 3}):
        with pytest.raises(UsageError):
            make_system({"kind": "transformer", **wrong})
    of_a_trunk = make_system({"kind": "transformer", "encoder": {"random": 0}, "training": TRAINING})
    rows = np.arange(len(data))
    with pytest.raises(UsageError, match="no Transformer"):
        of_a_trunk.predict(data, rows, rows, None, 0)
