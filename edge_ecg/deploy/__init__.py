"""Putting bundles on a device: what runs there (this package) and what drives it from afar (``remote``)."""

from .health import (
    Health,
    has_service,
    read_health,
    read_service,
    remove_service,
    write_health,
    write_service,
)
from .layout import Home
from .release import Release
from .releases import Releases
from .trial import Trial

__all__ = [
    "Health",
    "Home",
    "Release",
    "Releases",
    "Trial",
    "has_service",
    "read_health",
    "read_service",
    "remove_service",
    "write_health",
    "write_service",
]
