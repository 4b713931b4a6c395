"""Where records go: a person's screen or lines of JSON."""

from .base import Sink
from .jsonl import JsonLines

__all__ = ["JsonLines", "Sink"]
