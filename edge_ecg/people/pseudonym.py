"""Pseudonyms such as ``P-7f3k``: short enough to say aloud, drawn by chance, never made from a name."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Container

# Without what is misread or misheard on a label: 0 and o, 1 and l and i, u and v.
ALPHABET = "23456789abcdefghjkmnpqrstwxyz"
_LENGTH = 4
_FORM = re.compile(f"P-[{ALPHABET}]{{{_LENGTH}}}")


def is_pseudonym(text: str) -> bool:
    """Whether a text has the form of a pseudonym."""
    return _FORM.fullmatch(text) is not None


def new_pseudonym(taken: Container[str], choose: Callable[[str], str] = secrets.choice) -> str:
    """Draw one of some 700 000 pseudonyms that is not in ``taken``."""
    while True:
        drawn = "P-" + "".join(choose(ALPHABET) for _ in range(_LENGTH))
        if drawn not in taken:
            return drawn
