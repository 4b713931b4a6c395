"""Small numpy heads that turn an embedding into probabilities."""

from .mlp import MlpHead

__all__ = ["MlpHead"]
