"""Addresses without names: what of an address may stand in records and files that travel.

A laboratory calls its recordings after people (``file:/study/Anna Berg 1980.edf``), so the path of a
``file:`` address stays on the command line. The name of a port, a host or a radio is a device's, and is kept.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from urllib.parse import quote, unquote_plus

_FILE = "file:"
_ENDINGS = (".edf", ".hea", ".dat", ".csv", ".tsv", ".txt", ".gz", ".h5", ".hdf5", ".npz", ".npy")
# Numbers and choices. ``key`` is not among them: a .npz may hold recordings by people's names.
_OPTIONS = ("speed", "start", "duration", "channel", "fs", "unit", "scale", "offset", "separator", "partial")


def nameless(address: str) -> str:
    """Return ``file:*.edf?channel=II`` for ``file:/study/anna.edf?channel=II``; others as they are.

    A virtual device that plays a recording (``sim:shimmer3?from=file:anna.edf``) does not name it either.
    """
    if not _is_file(address):
        place, question, options = address.partition("?")
        return place + question + "&".join(map(_nameless_option, options.split("&")))
    path, _, options = address[len(_FILE) :].partition("?")
    kept = "&".join(word for word in options.split("&") if word.lower().partition("=")[0] in _OPTIONS)
    return f"{_FILE}*{_ending(path)}" + (f"?{kept}" if kept else "")


def without_file_name(text: str, address: str) -> str:
    """Return a message without the path of a ``file:`` address: ``*.edf is truncated``."""
    if not _is_file(address):
        played = _played(address)
        return text if played is None else without_file_name(text, played)
    path = PurePath(address[len(_FILE) :].partition("?")[0])
    if not path.name:
        return text
    ending = _ending(path.name)
    text = text.replace(str(path), f"*{ending}").replace(path.name, f"*{ending}")
    # The files of a WFDB record differ in their endings; and a short stem may be part of a word.
    return re.sub(rf"(?<!\w){re.escape(path.stem)}(?!\w)", "*", text)


def _nameless_option(word: str) -> str:
    played = _played(f"?{word}")
    if played is None:
        return word
    return f"{word.partition('=')[0]}={quote(nameless(played), safe=':*')}"


def _played(address: str) -> str | None:
    """The ``file:`` address in the option ``from``; None where there is none."""
    for word in address.partition("?")[2].split("&"):
        name, _, value = word.partition("=")
        if name.lower() == "from" and _is_file(unquote_plus(value)):
            return unquote_plus(value)
    return None


def _is_file(address: str) -> bool:
    return address[: len(_FILE)].lower() == _FILE


def _ending(path: str) -> str:
    """The ending of a file's name where it is that of a format; ``x.Berg`` has none."""
    suffix = PurePath(path).suffix
    return suffix if suffix.lower() in _ENDINGS else ""
