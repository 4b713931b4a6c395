r"""Time-stamped annotation lists (TALs) of EDF+.

A list is ``+ONSET[\x15DURATION]\x14TEXT\x14...TEXT\x14\x00``; the first in each record has an empty
text and tells when the record begins.
"""

from __future__ import annotations

import re

_TAL = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?\x14([^\x00]*)\x14\x00")


def record_onset_s(block: bytes) -> float | None:
    """When the record with this annotation block begins; None when the block does not say."""
    match = _TAL.match(block)
    return None if match is None or match[3].split(b"\x14", 1)[0] else float(match[1])


def read_annotations(block: bytes) -> list[tuple[float, str]]:
    """Onset (seconds) and text of every annotation in a block."""
    return [
        (float(match[1]), text.decode("utf-8", errors="replace"))
        for match in _TAL.finditer(block)
        for text in match[3].split(b"\x14")
        if text
    ]
