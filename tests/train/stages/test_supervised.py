"""The fully supervised twin: it learns, it resumes, and its run has the common form."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from edge_ecg.errors import DataError, UsageError
from edge_ecg.heads.mlp import MlpHead
from edge_ecg_train.checkpoint import load_encoder
from edge_ecg_train.device import Execution, prepare_machine
from edge_ecg_train.embeddings import embed
from edge_ecg_train.loop import Session
from edge_ecg_train.run_dir import RunDir
from edge_ecg_train.supervised import SupervisedConfig, SupervisedNetwork, run_supervised

FP32 = Execution(device="cpu", precision="fp32")
TINY = SupervisedConfig(epochs=2, batch_windows=16, hidden=(8,), dropout=0.3)


def test_parameters_of_the_papers_networks():
    def count(classes: int, hidden: tuple[int, ...]) -> int:
        return sum(p.numel() for p in SupervisedNetwork(classes, hidden, 0.0).parameters())

    assert count(3, (512, 512)) == 659_395
    assert count(4, (512, 512)) == 659_908
    assert count(5, (512, 512, 512)) == 923_077
    assert count(9, (512, 512, 512)) == 925_129
    # Two classes have one sigmoid here where the paper has two: 513 parameters fewer than 658,882.
    assert count(2, (512, 512)) == 658_882 - 513


def test_it_learns_and_its_run_is_complete(tmp_path, store):
    config = SupervisedConfig(epochs=6, batch_windows=8, hidden=(16,), holdout=0.2)
    entry = run_supervised(store, "stress", config, tmp_path / "run", execution=FP32)
    assert entry["finished"]
    assert entry["steps"] == 6 * 5
    assert entry["history"][-1]["balanced_accuracy"] >= 0.9
    assert len(entry["history"]) == 6
    run = RunDir(tmp_path / "run")
    facts = run.read_json()
    assert facts["tasks"] == {"stress": {"labels": ["rest", "stress"]}}
    assert facts["encoder"]["parameters"] == 329_152
    assert facts["supervised"]["task"] == "stress"
    machine = prepare_machine(FP32)
    embeddings = embed(load_encoder(run.encoder), store.windows, machine)
    said = MlpHead.load(run.head("stress")).probabilities(embeddings).argmax(1)
    assert (said == store.label("stress")).mean() > 0.9


def test_resumed_run_equals_uninterrupted_one(tmp_path, store):
    run_supervised(store, "level", TINY, tmp_path / "whole", execution=FP32)
    times = iter(range(0, 10**6, 61))
    hasty = Session(max_minutes=1.5, clock=lambda: float(next(times)))
    first = run_supervised(store, "level", TINY, tmp_path / "parts", execution=FP32, session=hasty)
    assert not first["finished"]
    run_supervised(store, "level", TINY, tmp_path / "parts", execution=FP32, resume=True)
    for name in ("encoder.npz", "heads/level.npz"):
        with np.load(tmp_path / "whole" / name) as whole, np.load(tmp_path / "parts" / name) as parts:
            assert all(np.array_equal(whole[key], parts[key]) for key in whole.files)


def test_unlabelled_windows_are_left_out(tmp_path, store):
    entry = run_supervised(store, "level", replace(TINY, epochs=1), tmp_path / "r", execution=FP32)
    assert entry["windows"] == 36
    assert entry["steps"] == 3
    assert json.loads((tmp_path / "r" / "run.json").read_text())["supervised"]["config"]["hidden"] == [8]


def test_refusals(tmp_path, store):
    with pytest.raises(DataError, match="no labels"):
        run_supervised(store, "joy", TINY, tmp_path / "r", execution=FP32)
    with pytest.raises(UsageError):
        run_supervised(store, "level", replace(TINY, epochs=0), tmp_path / "r", execution=FP32)
    run_supervised(store, "level", replace(TINY, epochs=1), tmp_path / "r", execution=FP32)
    with pytest.raises(DataError, match="--resume"):
        run_supervised(store, "level", TINY, tmp_path / "r", execution=FP32)
    with pytest.raises(DataError, match="other settings"):
        run_supervised(store, "level", replace(TINY, seed=1), tmp_path / "r", execution=FP32, resume=True)
    run = RunDir(tmp_path / "r")
    facts = run.read_json()
    run.update_json(preprocessing={**store.preprocessing, "notch_hz": 50.0})
    with pytest.raises(DataError, match="in another way"):
        run_supervised(store, "level", TINY, tmp_path / "r", execution=FP32, resume=True)
    # Two ratings of the same windows have as many classes.
    run.update_json(preprocessing=facts["preprocessing"], supervised={**facts["supervised"], "task": "mood"})
    with pytest.raises(DataError, match=r"task 'mood', not on 'level'.*--task mood"):
        run_supervised(store, "level", TINY, tmp_path / "r", execution=FP32, resume=True)
