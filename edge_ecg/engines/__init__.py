"""Running an encoder: one call, whichever runtime and number format it goes through."""

from .base import Encoder, EngineSpec
from .registry import AUTO, ENGINES, RUNTIMES, check_encoders, engine_names, open_encoder

__all__ = [
    "AUTO",
    "ENGINES",
    "RUNTIMES",
    "Encoder",
    "EngineSpec",
    "check_encoders",
    "engine_names",
    "open_encoder",
]
