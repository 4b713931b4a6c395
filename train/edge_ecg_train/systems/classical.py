"""The classical line of the papers' related work: six classifiers of scikit-learn on classical features.

Settings are fixed and usual ones, none was searched. In all of them the classes count equally, however many
windows they have: by class weights, equal priors, or votes divided by the class's share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from ..evaluation.baseline import PersonalBaseline
from ..evaluation.data import TaskData
from ..inner_folds import inner_folds
from ..recipe import make
from .base import FeatureSystem, FloatArray, Groups, Labels, Model, personal
from .hrv import GROUPS, check_groups, classical_features

ModelName = Literal["logistic", "svm", "forest", "knn", "lda", "naive-bayes"]
_SPOKEN: dict[str, str] = {
    "logistic": "logistic regression",
    "svm": "SVM (RBF)",
    "forest": "random forest",
    "knn": "k nearest neighbours",
    "lda": "linear discriminant analysis",
    "naive-bayes": "Gaussian naive Bayes",
}
NEIGHBOURS = 25


def _pipeline(classifier: Any) -> Any:
    """Missing values take the training median; mean and scale are the training rows'."""
    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), classifier
    )


def _classifier(model: str, rows: int, classes: int, seed: int) -> Any:
    equal = np.full(classes, 1.0 / classes)
    makers: dict[str, Callable[[], Any]] = {
        "logistic": lambda: LogisticRegression(class_weight="balanced", max_iter=1000),
        "svm": lambda: SVC(C=1.0, gamma="scale", class_weight="balanced"),
        "forest": lambda: RandomForestClassifier(
            100, min_samples_leaf=5, class_weight="balanced_subsample", random_state=seed
        ),
        "knn": lambda: KNeighborsClassifier(min(NEIGHBOURS, rows)),
        "lda": lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=equal),
        "naive-bayes": lambda: GaussianNB(priors=equal),
    }
    return _pipeline(makers[model]())


class ClassicalModel:
    """A fitted pipeline whose probabilities are right for classes of equal shares.

    Distances from an SVM's boundary become probabilities by logistic regression (Platt) on the distances of
    people left out, one group of the training people after another.
    """

    def __init__(
        self, model: str, features: FloatArray, labels: Labels, groups: Groups, classes: int, seed: int
    ) -> None:
        self.classes = classes
        self.found, counts = np.unique(labels, return_counts=True)
        # Votes of neighbours are the only ones that nothing inside the classifier balances.
        self._weights = len(labels) / counts if model == "knn" else np.ones(len(self.found))
        self._pipeline = _classifier(model, len(labels), len(self.found), seed).fit(features, labels)
        self._platt: Any = None
        if model == "svm":
            self._platt = _platt(model, features, labels, groups, seed)
            if self._platt is None:  # too few people to leave some out: their own distances must do
                self._platt = _balanced().fit(_distances(self._pipeline, features), labels)

    def probabilities(self, features: FloatArray, /) -> FloatArray:
        """Probabilities (n, classes) of (n, d) features; 0 for classes that training did not see."""
        if self._platt is not None:
            seen = self._platt.predict_proba(_distances(self._pipeline, features))
        else:
            seen = self._pipeline.predict_proba(features) * self._weights
        out = np.zeros((len(features), self.classes))
        out[:, self.found] = seen / seen.sum(axis=1, keepdims=True)
        return out


def _balanced() -> Any:
    return LogisticRegression(class_weight="balanced", max_iter=1000)


def _distances(pipeline: Any, features: FloatArray) -> FloatArray:
    distances = np.asarray(pipeline.decision_function(features), np.float64)
    return distances[:, None] if distances.ndim == 1 else distances


def _platt(model: str, features: FloatArray, labels: Labels, groups: Groups, seed: int) -> Any:
    classes = len(np.unique(labels))
    distances: list[FloatArray] = []
    truth: list[Labels] = []
    for fit, held_out in inner_folds(labels, groups):
        fitted = _classifier(model, len(fit), classes, seed).fit(features[fit], labels[fit])
        distances.append(_distances(fitted, features[held_out]))
        truth.append(labels[held_out])
    if not truth or len(np.unique(np.concatenate(truth))) < classes:
        return None
    return _balanced().fit(np.concatenate(distances), np.concatenate(truth))


@dataclass(frozen=True, slots=True)
class Classical(FeatureSystem):
    """One classifier on some groups of features (:data:`~edge_ecg_train.systems.hrv.GROUPS`)."""

    model: ModelName = "logistic"
    groups: tuple[str, ...] = tuple(GROUPS)

    @property
    def name(self) -> str:
        """As printed."""
        of = "classical features" if self.groups == tuple(GROUPS) else ", ".join(self.groups)
        return f"{of} + {_SPOKEN[self.model]}"

    def config(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": "classical", "model": self.model, "groups": list(self.groups)}

    def inputs(self, data: TaskData, baseline: PersonalBaseline | None) -> FloatArray:
        """Classical features (n, d)."""
        return personal(classical_features(data, self.groups), baseline)

    def fit(
        self, features: FloatArray, labels: Labels, groups: Groups, classes: int, seed: int, personal: bool
    ) -> Model:
        """Fit the classifier."""
        return ClassicalModel(self.model, features, labels, groups, classes, seed)


def from_table(table: Mapping[str, Any]) -> Classical:
    """Make one from ``model`` and ``groups``."""
    system = make(Classical, table, "classical")
    check_groups(system.groups)
    return system
