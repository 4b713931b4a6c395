"""An ECG as a strip of paper: on a terminal, or as a picture (SVG)."""

from .trace import Hole, Piece, Stretch, Trace

__all__ = ["Hole", "Piece", "Stretch", "Trace"]
