"""Where samples come from: one address, one call, one kind of result."""

from .address import Address, parse_address
from .base import Clock, Source
from .registry import open_source

__all__ = ["Address", "Clock", "Source", "open_source", "parse_address"]
