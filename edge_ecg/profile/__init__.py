"""A personal baseline: what a model sees of one person at rest, as a small JSON file (docs/profile.md)."""

from .base import Profile, RefittedHead, encoder_sha256
from .file import Undone, load_profile, previous_path, require_place, save_profile, undo_profile

__all__ = [
    "Profile",
    "RefittedHead",
    "Undone",
    "encoder_sha256",
    "load_profile",
    "previous_path",
    "require_place",
    "save_profile",
    "undo_profile",
]
