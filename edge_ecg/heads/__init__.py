"""Small numpy heads that turn an embedding into probabilities, and features that they may see beside it."""

from .arrays import read_npz
from .intervals import INTERVAL_FEATURES, interval_features, interval_features_of
from .mlp import MlpHead
from .personal import PERSONAL_FEATURES, SOURCES, personal_features

__all__ = [
    "INTERVAL_FEATURES",
    "PERSONAL_FEATURES",
    "SOURCES",
    "MlpHead",
    "interval_features",
    "interval_features_of",
    "personal_features",
    "read_npz",
]
