"""What edge-ecg keeps on a device, and how it changes there without a moment in which nothing works."""

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
