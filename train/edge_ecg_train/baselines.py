"""Logistic regression on features: the simple model that every network has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FloatArray = NDArray[np.float64]


class LogisticModel:
    """Logistic regression on standardised features, classes weighted to equal shares.

    Missing values (NaN) take the training people's median; mean and scale are the training people's, too.
    """

    def __init__(self, features: ArrayLike, labels: ArrayLike, classes: int) -> None:
        self.classes = classes
        self._pipeline: Any = make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True),
            StandardScaler(),
            LogisticRegression(class_weight="balanced", max_iter=1000),
        )
        self._pipeline.fit(features, labels)

    def probabilities(self, features: ArrayLike) -> FloatArray:
        """Probabilities (n, classes) of (n, d) features; 0 for classes that training did not see."""
        seen = self._pipeline.predict_proba(np.asarray(features))
        out = np.zeros((len(seen), self.classes))
        out[:, self._pipeline.classes_] = seen
        return out
