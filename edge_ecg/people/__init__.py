"""Who is who on this machine: pseudonyms, whose files are whose, and removing what belongs to a person."""

from .forget import Fate, Removal, forget, plan
from .index import KINDS, PROFILE, RECORDING, KnownFile, People, Person, real_place
from .pseudonym import is_pseudonym, new_pseudonym

__all__ = [
    "KINDS",
    "PROFILE",
    "RECORDING",
    "Fate",
    "KnownFile",
    "People",
    "Person",
    "Removal",
    "forget",
    "is_pseudonym",
    "new_pseudonym",
    "plan",
    "real_place",
]
