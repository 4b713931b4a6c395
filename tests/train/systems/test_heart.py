"""The three-feature model: as written out by hand, and today's figures on eegmat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edge_ecg.heads.intervals import interval_features_of
from edge_ecg.heads.personal import PERSONAL_FEATURES, SOURCES, personal_features
from edge_ecg_train.datasets import DATASETS
from edge_ecg_train.evaluation.baseline import PersonalBaseline
from edge_ecg_train.evaluation.data import TaskData
from edge_ecg_train.prepare import Preparation, prepare
from edge_ecg_train.splits import leave_one_subject_out
from edge_ecg_train.systems import make_system


@pytest.mark.parametrize("way", ["plain", "differences", "personal"])
def test_as_written_out_by_hand(stress_data: TaskData, way: str) -> None:
    features = interval_features_of(stress_data.windows, SOURCES)
    rows, baseline = np.arange(len(stress_data)), None
    if way != "plain":
        baseline = PersonalBaseline.of(stress_data, 30.0)
        rows = np.flatnonzero(baseline.scored)
        changes = np.full((len(features), 3), np.nan)
        for person in baseline.people:
            theirs = stress_data.subject == person
            rest = np.median(features[theirs & baseline.baseline], axis=0)
            changes[theirs] = (
                features[theirs] - rest
                if way == "differences"
                else personal_features(features[theirs], rest, PERSONAL_FEATURES)
            )
        features = changes
    tested = stress_data.subject[rows] == "made/2"
    train, test = rows[~tested], rows[tested]
    by_hand = make_pipeline(
        SimpleImputer(strategy="median"),
        StandardScaler(),
        LogisticRegression(class_weight="balanced", max_iter=1000),
    ).fit(features[train], stress_data.labels[train])
    system = make_system({"kind": "heart", "personal": way == "personal"})
    np.testing.assert_allclose(
        system.predict(stress_data, train, test, baseline, 0), by_hand.predict_proba(features[test])
    )


@pytest.fixture(scope="module")
def eegmat(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    place = tmp_path_factory.mktemp("eegmat")
    store = prepare([(DATASETS["eegmat"], data_root)], place / "store", Preparation(hop_s=5))
    return TaskData.of(store, "stress", cache=place / "cache")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("personal", "baseline_s", "auc"),
    [(False, 0.0, 0.733), (False, 60.0, 0.941), (True, 0.0, 0.733), (True, 60.0, 0.952)],
)
def test_figures_on_eegmat(eegmat: TaskData, personal: bool, baseline_s: float, auc: float) -> None:
    baseline = PersonalBaseline.of(eegmat, baseline_s) if baseline_s else None
    rows = np.arange(len(eegmat)) if baseline is None else np.flatnonzero(baseline.scored)
    system = make_system({"kind": "heart", "personal": personal})
    said = np.zeros(len(rows))
    for fold in leave_one_subject_out(eegmat.subject[rows]):
        said[fold.test] = system.predict(eegmat, rows[fold.train], rows[fold.test], baseline, 0)[:, 1]
    assert roc_auc_score(eegmat.labels[rows], said) == pytest.approx(auc, abs=5e-4)
