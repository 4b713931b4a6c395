"""The licence that a package declares, as an SPDX expression.

Looked for in this order: ``License-Expression`` (PEP 639), what is known of single packages, the older field
``License``, and the classifiers. Text that names no licence for certain ("BSD") counts as none.
"""

from __future__ import annotations

import re
from importlib.metadata import Distribution

from .spdx import licences

# Packages that declare theirs in words of which there are several kinds, by the licence text that they ship.
_KNOWN = {"pyserial": "BSD-3-Clause"}

_WORDS = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd-3": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "gnu general public license v3": "GPL-3.0-only",
    "gnu general public license v3 or later": "GPL-3.0-or-later",
    "gnu lesser general public license v3": "LGPL-3.0-only",
    "isc license": "ISC",
    "mit license": "MIT",
    "mit no attribution license": "MIT-0",
    "mozilla public license 2.0": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "the unlicense": "Unlicense",
    "zlib/libpng license": "Zlib",
}
_IDENTIFIER = re.compile(
    r"(?:0BSD|(?:AGPL|Apache|BSD|BSL|CC0|GPL|ISC|LGPL|MIT|MPL|PSF|Python|Unicode|Unlicense|Zlib|HDF5)(?:-[A-Za-z0-9.-]+)?)"
)


def declared_licence(name: str, distribution: Distribution) -> str | None:
    """Return the expression for a package by its normalised name; None where it declares nothing certain."""
    metadata = distribution.metadata
    if "License-Expression" in metadata:
        return str(metadata["License-Expression"])
    if name in _KNOWN:
        return _KNOWN[name]
    field = _read(str(metadata["License"])) if "License" in metadata else None
    if field is not None:
        return field
    classifiers = [str(entry) for entry in metadata.get_all("Classifier") or []]
    named = [entry.split(" :: ")[-1] for entry in classifiers if entry.startswith("License :: ")]
    read = [_read(re.sub(r"\s*\([^)]*\)$", "", entry)) for entry in named if entry != "OSI Approved"]
    known = [one for one in read if one is not None]
    # A package with several classifiers does not say whether one may choose: all must do.
    return " AND ".join(sorted(set(known))) if known and len(known) == len(read) else None


def _read(text: str) -> str | None:
    """An expression from words; None where they are none, or the whole text of a licence."""
    words = " ".join(text.split())
    if words.lower() in _WORDS:
        return _WORDS[words.lower()]
    try:
        found = licences(words)
    except ValueError:
        return None
    # "BSD" and "GPL" are families, not licences.
    certain = all(_IDENTIFIER.fullmatch(one.partition(" WITH ")[0]) and one not in _FAMILIES for one in found)
    return words if certain else None


_FAMILIES = ("AGPL", "Apache", "BSD", "BSL", "CC0", "GPL", "LGPL", "MPL", "PSF", "Python", "Unicode")
