"""The heads of a bundle: what they are fitted on, and what the run says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edge_ecg.errors import DataError
from edge_ecg.heads.intervals import interval_features_of
from edge_ecg.heads.mlp import MlpHead
from edge_ecg.heads.personal import SOURCES, personal_features
from edge_ecg_train.checkpoint import save_encoder
from edge_ecg_train.emotion import train_emotion
from edge_ecg_train.evaluation.data import TaskData
from edge_ecg_train.fusion import fit_hybrid
from edge_ecg_train.heads import PRESETS, HeadConfig
from edge_ecg_train.networks import Trunk
from edge_ecg_train.run_dir import RunDir
from edge_ecg_train.shipped import fit_shipped_heads
from edge_ecg_train.store import WindowStore


def test_what_the_two_heads_of_a_hybrid_see(stress_data: TaskData) -> None:
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(len(stress_data), 6)).astype(np.float32) + stress_data.labels[:, None]
    config = HeadConfig(kind="hybrid", c=0.1, c_plain=0.001, baseline_s=30.0)
    columns = (stress_data.windows, stress_data.labels, stress_data.subject, stress_data.start_s)
    fitted = fit_shipped_heads(embeddings, *columns, 2, config)
    sources = interval_features_of(stress_data.windows, SOURCES)
    weaker = HeadConfig(kind="hybrid", c=0.001)
    plain = fit_hybrid(
        np.hstack([embeddings, sources]), stress_data.labels, stress_data.subject, 6, 2, weaker
    )
    np.testing.assert_array_equal(fitted.plain.weights[0], plain.weights[0])

    inputs, rows = np.full((len(stress_data), 9), np.nan), []
    for person in np.unique(stress_data.subject):
        theirs = stress_data.subject == person
        rest = theirs & (stress_data.labels == 0) & (stress_data.start_s + 10 <= 30)
        inputs[theirs, :6] = embeddings[theirs] - np.median(embeddings[rest].astype(float), axis=0)
        inputs[theirs, 6:] = personal_features(sources[theirs], np.median(sources[rest], axis=0))
        rows += np.flatnonzero(theirs & ~rest).tolist()
    rows = np.sort(rows)
    personal = fit_hybrid(inputs[rows], stress_data.labels[rows], stress_data.subject[rows], 6, 2, config)
    assert fitted.personal is not None
    assert fitted.people == 8
    np.testing.assert_allclose(
        fitted.personal.probabilities(inputs[rows]), personal.probabilities(inputs[rows]), atol=1e-5
    )


def test_a_head_without_a_second(stress_data: TaskData) -> None:
    embeddings = np.random.default_rng(1).normal(size=(len(stress_data), 4)).astype(np.float32)
    columns = (stress_data.windows, stress_data.labels, stress_data.subject, stress_data.start_s)
    assert fit_shipped_heads(embeddings, *columns, 2, HeadConfig()).personal is None
    alone = HeadConfig(kind="hybrid", baseline_s=0.0)
    assert fit_shipped_heads(embeddings, *columns, 2, alone).personal is None
    hybrid = HeadConfig(kind="hybrid", baseline_s=30.0)
    assert fit_shipped_heads(embeddings, *columns, 2, hybrid, rest=None).personal is None
    with pytest.raises(DataError, match="first 5 s"):
        fit_shipped_heads(embeddings, *columns, 2, HeadConfig(kind="hybrid", baseline_s=5.0))


@pytest.mark.slow
def test_a_run_with_a_hybrid(stress_data: TaskData, tmp_path: Path) -> None:
    torch.manual_seed(0)
    run = RunDir(tmp_path / "run")
    run.create()
    save_encoder(run.encoder, Trunk())
    run.update_json(pretext={})
    store = WindowStore.open(stress_data.store_path)
    config = HeadConfig(kind="hybrid", c=0.01, baseline_s=30.0, context_s=20.0)
    entry = train_emotion(run.path, store, {"stress": config})
    assert run.read_json()["tasks"]["stress"] == {
        "labels": ["rest", "stress"],
        "features": list(SOURCES),
        "personal": True,
        "personal_features": list(PRESETS["hybrid"].personal),
        "context_s": 20.0,
    }
    assert entry["stress"]["personal"]["people"] == 8
    second = run.path / "heads" / "stress.personal.npz"
    assert MlpHead.load(run.head("stress")).inputs == MlpHead.load(second).inputs == 128 + 3
    train_emotion(run.path, store, {"stress": HeadConfig()})
    assert not second.exists()
    assert run.read_json()["tasks"]["stress"] == {"labels": ["rest", "stress"]}
