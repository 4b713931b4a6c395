"""Systems that tell states apart, all under one call, each made from a small table."""

from .base import System, make_system

__all__ = ["System", "make_system"]
