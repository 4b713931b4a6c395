"""Units of voltage: what they are in millivolts, and where file formats write them."""

from __future__ import annotations

import re

MV_PER_UNIT = {"mV": 1.0, "uV": 1e-3, "nV": 1e-6, "V": 1e3}

# Both the micro sign and the Greek letter are written as u.
_SPELLINGS = {
    "mv": "mV",
    "millivolt": "mV",
    "millivolts": "mV",
    "uv": "uV",
    "microvolt": "uV",
    "microvolts": "uV",
    "nv": "nV",
    "nanovolt": "nV",
    "nanovolts": "nV",
    "v": "V",
    "volt": "V",
    "volts": "V",
}
_IN_BRACKETS = re.compile(r"[(\[]\s*([^)\]]+?)\s*[)\]]\s*$")
_AS_SUFFIX = re.compile(r"_([mun]?v)$")


def unit_factor(text: str) -> float | None:
    """Millivolts per unit, or None when ``text`` names no unit of voltage."""
    name = _SPELLINGS.get(text.strip().lower().replace("µ", "u").replace("μ", "u"))
    return None if name is None else MV_PER_UNIT[name]


def unit_in_name(name: str) -> str | None:
    """The unit that a column's name carries, as in ``ecg_uv``, ``ECG (mV)``, ``ecg [uV]``; else None."""
    bracket = _IN_BRACKETS.search(name)
    if bracket and unit_factor(bracket[1]) is not None:
        return bracket[1]
    suffix = _AS_SUFFIX.search(name.strip().lower().replace("µ", "u").replace("μ", "u"))
    return suffix[1] if suffix else None
