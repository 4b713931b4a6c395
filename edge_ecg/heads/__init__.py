"""Small numpy heads that turn an embedding into probabilities."""

from .arrays import read_npz
from .mlp import MlpHead

__all__ = ["MlpHead", "read_npz"]
