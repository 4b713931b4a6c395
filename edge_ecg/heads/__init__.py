"""Small numpy heads that turn an embedding into probabilities, and features that they may see beside it."""

from .arrays import read_npz
from .intervals import INTERVAL_FEATURES, interval_features, interval_features_of
from .mlp import MlpHead

__all__ = ["INTERVAL_FEATURES", "MlpHead", "interval_features", "interval_features_of", "read_npz"]
