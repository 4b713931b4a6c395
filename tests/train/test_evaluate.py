"""The evaluation of a run: its own head is judged; an encoder that knows the answers is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edge_ecg.errors import DataError, UsageError
from edge_ecg_train import evaluate
from edge_ecg_train.checkpoint import save_encoder
from edge_ecg_train.embeddings import embeddings_of
from edge_ecg_train.evaluate import notes_of, stage_run
from edge_ecg_train.evaluation.executors import make_executor
from edge_ecg_train.evaluation.stage_encoders import pretrained_on
from edge_ecg_train.evaluation.sweep import Sweep, collect, execute
from edge_ecg_train.heads import HeadConfig
from edge_ecg_train.networks import Trunk
from edge_ecg_train.run_dir import RunDir
from edge_ecg_train.store import WindowStore
from edge_ecg_train.store_writer import StoreWriter, WindowMeta
from edge_ecg_train.systems.encoder import FrozenEncoder
from edge_ecg_train.systems.hybrid import Hybrid

HYBRID = {
    "kind": "hybrid",
    "c": 0.02,
    "c_plain": None,
    "intervals": ["heart_rate_bpm", "rmssd_ms"],
    "personal": ["heart_rate_z"],
    "fusion": "early",
    "baseline_s": 30.0,
    "context_s": 20.0,
}


def _store(
    path: Path,
    make_ecg: Any,
    people: int = 4,
    windows: int = 4,
    start_s: float = 1.0,
    names: tuple[str, str] = ("rest", "stress"),
) -> WindowStore:
    """Half of each person's windows at rest from ``start_s`` on, half under stress."""
    with StoreWriter(path) as writer:
        for person in range(people):
            for stress, session in enumerate(("rest", "arithmetic")):
                ecg = make_ecg(
                    10.0 * windows, 256.0, 60.0 + 4 * person + 9 * stress, seed=2 * person + stress
                )
                for number in range(windows):
                    meta = WindowMeta(
                        "made", f"made/{person}", session, "I",
                        start_s + 10.0 * number, 60.0, 1.0, {"stress": stress},
                    )  # fmt: skip
                    writer.append(ecg[2560 * number : 2560 * (number + 1)].astype(np.float32), meta)
        return writer.commit(
            preprocessing={"normalisation": "calibrated"},
            labels={"stress": names},
            datasets=[],
            windowing={"hop_s": 10, "kept": "good"},
        )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, make_ecg: Any) -> WindowStore:
    return _store(tmp_path_factory.mktemp("evaluate") / "store", make_ecg)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run with an untrained encoder; embeddings are computed once and stay in its cache."""
    run = RunDir(tmp_path_factory.mktemp("evaluate") / "run")
    run.create()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_encoder(run.encoder, Trunk())
    return run


def _facts(run: RunDir, head: dict[str, Any] | None = None, **facts: Any) -> RunDir:
    emotion = {} if head is None else {"emotion": {"stress": {"head": head}}}
    written = {"name": "small", "pretext": {"datasets": ["qtdb"]}, **emotion, **facts}
    (run.path / "run.json").write_text(json.dumps(written))
    return run


def _staged(run: RunDir, store: WindowStore) -> Sweep:
    return stage_run(run, store, "stress", draws=10)


def test_a_hybrid_is_judged_as_it_is_shipped(place: RunDir, store: WindowStore) -> None:
    sweep = _staged(_facts(place, {**HYBRID, "rounding_penalty": 0.5, "seed": 3}), store)
    ours, heart, personal = (one.system for one in sweep.systems)
    assert isinstance(ours, Hybrid)
    assert ours.head == HeadConfig(
        kind="hybrid",
        c=0.02,
        intervals=("heart_rate_bpm", "rmssd_ms"),
        personal=("heart_rate_z",),
        fusion="early",
        baseline_s=30.0,
        context_s=20.0,
    )
    assert ours.encoder == {"run": str(place.path.resolve())}
    assert sweep.recipe.baselines_s == (0.0, 30.0)
    assert sweep.recipe.contexts_s == (0.0, 20.0)
    assert (heart.config()["personal"], personal.config()["personal"]) == (False, True)
    execute(sweep, make_executor("serial"))
    assert sweep.failures == []
    found = {(p.system, p.protocol, p.baseline_s, p.context_s) for p in collect(sweep)}
    name = sweep.systems[0].name
    assert {key[1:] for key in found if key[0] == name} == {
        ("leave-one-subject-out", 0.0, 0.0),
        ("leave-one-subject-out", 0.0, 20.0),
        ("leave-one-subject-out", 30.0, 0.0),
        ("leave-one-subject-out", 30.0, 20.0),
        ("random-windows", 0.0, 0.0),
    }
    (note,) = notes_of(place.read_json(), "stress")
    assert "rounding penalty of 0.5" in note


def test_a_linear_head_scores_what_scikit_learn_scores(place: RunDir, store: WindowStore) -> None:
    sweep = _staged(_facts(place, {"kind": "linear", "c": 0.1, "hidden": [64]}), store)
    assert isinstance(sweep.systems[0].system, FrozenEncoder)
    execute(sweep, make_executor("serial"))
    ours = next(
        p for p in collect(sweep)
        if p.system == sweep.systems[0].name and p.baseline_s == 0.0 and p.protocol == "leave-one-subject-out"
    )  # fmt: skip
    model = LogisticRegression(C=0.1, class_weight="balanced", max_iter=10_000, tol=1e-8)
    expected = cross_val_predict(
        make_pipeline(StandardScaler(), model),
        embeddings_of(place, store).astype(np.float64),
        store.label("stress"),
        groups=store.subject,
        cv=LeaveOneGroupOut(),
        method="predict_proba",
    )[:, 1]
    order = np.lexsort((store.start_s, store.session, store.subject))
    theirs = np.lexsort((ours.start_s, ours.session, ours.subject))
    np.testing.assert_allclose(ours.probabilities[theirs, 1], expected[order], atol=1e-3)
    assert np.isfinite(roc_auc_score(ours.labels, ours.probabilities[:, 1]))


def test_a_run_without_a_head_is_judged_by_a_linear_one(place: RunDir, store: WindowStore) -> None:
    system = _staged(_facts(place), store).systems[0].system
    assert isinstance(system, FrozenEncoder)
    assert system.head == HeadConfig()


def test_a_hybrid_without_a_second_head_is_told_no_baseline(
    place: RunDir, store: WindowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The store holds 40 s at rest only.
    monkeypatch.setattr(evaluate, "BASELINE_S", 30.0)
    sweep = _staged(_facts(place, {**HYBRID, "baseline_s": 0.0}), store)
    ours = {trial.baseline_s for trial in sweep.recipe.trials() if trial.system.id == "ours"}
    heart = {trial.baseline_s for trial in sweep.recipe.trials() if trial.system.id == "heart"}
    assert (ours, heart) == ({0.0}, {0.0, 30.0})
    assert sweep.recipe.pairs == ()


def test_where_nobody_has_a_baseline_none_is_tried(place: RunDir, make_ecg: Any, tmp_path: Path) -> None:
    late = _store(tmp_path / "late", make_ecg, people=2, windows=1, start_s=300.0)
    sweep = _staged(_facts(place), late)
    assert sweep.recipe.baselines_s == (0.0,)
    assert [one.entry.id for one in sweep.systems] == ["ours", "heart"]


@pytest.mark.parametrize(
    ("supervised", "why"),
    [({"datasets": ["other", "made"]}, "has seen the answers"), ({}, "not recorded")],
)
def test_an_encoder_that_was_trained_with_the_labels_is_refused(
    place: RunDir, store: WindowStore, supervised: dict[str, Any], why: str
) -> None:
    # Pretraining on something else, before, makes it no better.
    with pytest.raises(DataError, match="cannot be judged on made") as refused:
        _staged(_facts(place, supervised=supervised), store)
    assert why in str(refused.value.why)
    assert "end-to-end" in str(refused.value.remedy)


def test_training_from_labels_of_other_data_counts_as_seen(place: RunDir, store: WindowStore) -> None:
    _staged(_facts(place, supervised={"datasets": ["other"]}), store)
    assert pretrained_on({"run": str(place.path)})["datasets"] == ["other", "qtdb"]
    _facts(place, pretext={}, supervised={"datasets": ["other"]})
    assert pretrained_on({"run": str(place.path)})["datasets"] is None


@pytest.mark.parametrize(
    ("head", "error", "message"),
    [
        ({"layers": 3}, DataError, "this version does not know"),
        ({"kind": "hybrid", "c": "much"}, UsageError, "c cannot be 'much'"),
    ],
)
def test_a_head_that_makes_no_sense(
    place: RunDir, store: WindowStore, head: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        _staged(_facts(place, head), store)


def test_labels_are_needed(place: RunDir, store: WindowStore) -> None:
    with pytest.raises(DataError, match="no labels for the task 'valence'"):
        stage_run(_facts(place), store, "valence")


def test_without_a_class_at_rest_nobody_has_a_baseline(place: RunDir, make_ecg: Any, tmp_path: Path) -> None:
    sweep = _staged(_facts(place), _store(tmp_path / "store", make_ecg, names=("low", "high")))
    assert sweep.recipe.baselines_s == (0.0,)
    assert len(sweep.systems) == 2


@pytest.mark.parametrize("stage", [{}, {"pretext": {}}])
def test_a_store_that_was_prepared_in_another_way_is_refused(
    place: RunDir, store: WindowStore, stage: dict[str, Any]
) -> None:
    said = {"preprocessing": {"normalisation": "recording"}}
    facts = {name: {**one, **said} for name, one in stage.items()} or said
    with pytest.raises(DataError, match=r"prepared in another way.*normalisation 'recording'"):
        _staged(_facts(place, **facts), store)
