"""The evaluation: nobody on both sides, a planted leak that shows, the same windows for all systems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edge_ecg.errors import DataError
from edge_ecg_train.baselines import LogisticModel
from edge_ecg_train.evaluate import (
    CALIBRATED,
    ENCODER,
    HEART,
    NO_CALIBRATION,
    PEOPLE_SPLIT,
    WINDOW_SPLIT,
    Evaluator,
    Features,
    Labels,
    Model,
    out_of_fold,
)
from edge_ecg_train.splits import leave_one_subject_out
from edge_ecg_train.store import WindowStore
from edge_ecg_train.store_writer import StoreWriter, WindowMeta


def _fit(features: Features, labels: Labels, _: NDArray[np.str_]) -> Model:
    return LogisticModel(features, labels, 2)


def _store(path: Path, make_ecg: Any, people: int = 6, windows: int = 16) -> WindowStore:
    """Half of each person's windows at rest, half under stress, with the same heart rate in both."""
    with StoreWriter(path) as writer:
        for person in range(people):
            for stress, session in enumerate(("rest", "arithmetic")):
                ecg = make_ecg(10.0 * windows, 256.0, 60.0 + 4 * person, seed=2 * person + stress)
                for number in range(windows // 2):
                    window = ecg[2560 * number : 2560 * (number + 1)].astype(np.float32)
                    meta = WindowMeta(
                        "made",
                        f"made/{person}",
                        session,
                        "I",
                        1.0 + 10.0 * number,
                        60.0,
                        1.0,
                        {"stress": stress},
                    )
                    writer.append(window, meta)
        return writer.commit(
            preprocessing={"normalisation": "calibrated"},
            labels={"stress": ("rest", "stress")},
            datasets=[],
            windowing={"hop_s": 10, "kept": "good"},
        )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, make_ecg: Any) -> WindowStore:
    return _store(tmp_path_factory.mktemp("evaluate") / "store", make_ecg)


def _signatures(
    store: WindowStore, *, state: float, identity: float = 1.0, seed: int = 0
) -> NDArray[np.float32]:
    """Embeddings that name the person and the session, but hold the state only in their first value."""
    rng = np.random.default_rng(seed)
    cell = {
        key: rng.standard_normal(24)
        for key in zip(store.subject.tolist(), store.session.tolist(), strict=True)
    }
    rows = [cell[key] for key in zip(store.subject.tolist(), store.session.tolist(), strict=True)]
    embeddings = identity * np.array(rows) + 0.3 * rng.standard_normal((len(store), 24))
    embeddings[:, 0] = state * store.label("stress") + rng.standard_normal(len(store))
    return embeddings.astype(np.float32)


def test_a_planted_leak_lifts_the_window_split_only(store: WindowStore) -> None:
    evaluation = Evaluator(store, "stress", _signatures(store, state=0.0), _fit, draws=200).run()
    honest = evaluation.find(ENCODER, PEOPLE_SPLIT).metrics["auc"]
    leaky = evaluation.find(ENCODER, WINDOW_SPLIT).metrics["auc"]
    assert leaky.value > 0.95
    assert honest.value < 0.75
    assert leaky.low > honest.high


def test_a_real_effect_shows_in_both(store: WindowStore) -> None:
    evaluation = Evaluator(
        store, "stress", _signatures(store, state=4.0, identity=0.1), _fit, draws=200
    ).run()
    assert evaluation.find(ENCODER, PEOPLE_SPLIT).metrics["auc"].value > 0.9
    assert evaluation.differences[NO_CALIBRATION]["auc"].low > 0.1


def test_people_fold_equals_scikit_learn(store: WindowStore) -> None:
    embeddings = _signatures(store, state=2.0)
    evaluation = Evaluator(store, "stress", embeddings, _fit, draws=10).run()
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    expected = cross_val_predict(
        pipeline,
        embeddings,
        store.label("stress"),
        groups=store.subject,
        cv=LeaveOneGroupOut(),
        method="predict_proba",
    )[:, 1]
    ours = evaluation.find(ENCODER, PEOPLE_SPLIT).metrics["auc"].value
    assert ours == pytest.approx(roc_auc_score(store.label("stress"), expected), abs=1e-9)


def test_a_personal_offset_goes_with_the_personal_baseline(store: WindowStore) -> None:
    rng = np.random.default_rng(3)
    offset = {person: 30.0 * rng.standard_normal() for person in np.unique(store.subject).tolist()}
    shift = np.array([offset[person] for person in store.subject.tolist()])
    embeddings = (shift + 3.0 * store.label("stress") + rng.standard_normal(len(store)))[:, None]
    evaluation = Evaluator(store, "stress", embeddings.astype(np.float32), _fit, draws=50).run()
    assert evaluation.find(ENCODER, PEOPLE_SPLIT).metrics["auc"].value < 0.7
    assert evaluation.find(ENCODER, PEOPLE_SPLIT, CALIBRATED).metrics["auc"].value > 0.95


def test_nobody_is_trained_on_and_tested_on(store: WindowStore) -> None:
    """The model remembers who it saw; a fold that tests one of them fails the test."""

    class Witness:
        def __init__(self, seen: set[str]) -> None:
            self.seen = seen

        def probabilities(self, features: Features, /) -> NDArray[np.float64]:
            tested = set(store.subject[np.asarray(features)[:, 0].astype(int)].tolist())
            assert len(tested) == 1
            assert not tested & self.seen
            return np.tile([0.5, 0.5], (len(features), 1))

    def fit(features: Features, labels: Labels, subject: NDArray[np.str_]) -> Model:
        assert set(subject.tolist()) == set(store.subject[features[:, 0].astype(int)].tolist())
        assert len(features) == len(labels)
        return Witness(set(subject.tolist()))

    row = np.arange(len(store), dtype=np.float64)[:, None]
    probabilities = out_of_fold(
        row, store.label("stress"), store.subject, leave_one_subject_out(store.subject), fit, 2
    )
    assert np.isfinite(probabilities).all()


def test_compared_systems_share_people_and_windows(store: WindowStore) -> None:
    evaluation = Evaluator(store, "stress", _signatures(store, state=1.0), _fit, draws=20).run()
    for split, calibration in (
        (PEOPLE_SPLIT, NO_CALIBRATION),
        (PEOPLE_SPLIT, CALIBRATED),
        (WINDOW_SPLIT, NO_CALIBRATION),
    ):
        ours, theirs = (evaluation.find(system, split, calibration) for system in (ENCODER, HEART))
        np.testing.assert_array_equal(ours.summary.people, theirs.summary.people)
        np.testing.assert_array_equal(ours.summary.positives, theirs.summary.positives)
        assert ours.windows == theirs.windows
    # Windows that end within 60 s of rest are the baseline: 5 of the 8 that each person has at rest.
    assert evaluation.find(ENCODER, PEOPLE_SPLIT, CALIBRATED).windows == len(store) - 6 * 5


def test_progress_counts_every_model(store: WindowStore) -> None:
    evaluator = Evaluator(store, "stress", _signatures(store, state=1.0), _fit, draws=5)
    fitted: list[int] = []
    evaluator.run(on_fold=lambda: fitted.append(1))
    assert len(fitted) == evaluator.folds == 2 * (6 + 6 + 10)


def test_the_same_seed_gives_the_same_numbers(store: WindowStore) -> None:
    embeddings = _signatures(store, state=1.0)

    def numbers(seed: int) -> list[object]:
        evaluation = Evaluator(store, "stress", embeddings, _fit, draws=50, seed=seed).run()
        return [dict(one.metrics) for one in evaluation.results]

    assert numbers(1) == numbers(1)
    assert numbers(1) != numbers(2)


def test_the_spread_over_people(store: WindowStore) -> None:
    evaluation = Evaluator(store, "stress", _signatures(store, state=3.0), _fit, draws=5).run()
    spread = evaluation.find(ENCODER, PEOPLE_SPLIT).spread("auc")
    assert spread["people"] == 6
    assert 0 <= spread["min"] <= spread["q25"] <= spread["median"] <= spread["q75"] <= spread["max"] <= 1


def test_what_was_not_computed_is_not_found(store: WindowStore) -> None:
    evaluation = Evaluator(store, "stress", _signatures(store, state=1.0), _fit, draws=5).run()
    with pytest.raises(KeyError):
        evaluation.find(ENCODER, WINDOW_SPLIT, CALIBRATED)


def test_labels_are_needed(store: WindowStore) -> None:
    with pytest.raises(DataError, match="no labels for the task 'valence'"):
        Evaluator(store, "valence", _signatures(store, state=1.0), _fit)


def test_embeddings_must_fit_the_store(store: WindowStore) -> None:
    with pytest.raises(ValueError, match="embeddings for"):
        Evaluator(store, "stress", _signatures(store, state=1.0)[1:], _fit)


def test_a_fold_with_one_class_is_a_sentence() -> None:
    subject, labels = np.array(["a", "a", "b"]), np.array([0, 0, 1])
    with pytest.raises(DataError, match="Without b there is only one class"):
        out_of_fold(np.zeros((3, 1)), labels, subject, list(leave_one_subject_out(subject))[1:], _fit, 2)
