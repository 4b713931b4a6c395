"""The fixed versions that a runtime on a device is made of."""

from __future__ import annotations

import re
from importlib.resources import files

from ...errors import DataError

LITERT, BOTH = "litert", "both"
ENGINES = (LITERT, BOTH)
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.+!-]*)")


def pins(engine: str = LITERT) -> list[str]:
    """Return ``NAME==VERSION`` of everything in a runtime but edge-ecg; ``both`` adds ONNX Runtime."""
    names = ["pins.txt", "pins_onnx.txt"] if engine == BOTH else ["pins.txt"]
    found: list[str] = []
    for name in names:
        found += parse_pins(files("edge_ecg.deploy").joinpath(name).read_text(encoding="utf-8"), name)
    return found


def parse_pins(text: str, source: str) -> list[str]:
    """Read lines of ``NAME==VERSION``; empty ones and comments are passed over.

    Raises
    ------
    DataError
        When a line is anything else: each version must be fixed, and nothing may be an option of pip.

    """
    found: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.partition("#")[0].strip()
        if stripped and _PIN.fullmatch(stripped) is None:
            raise DataError(f"Line {number} of {source} is not NAME==VERSION: {stripped!r}.")
        if stripped:
            found.append(stripped)
    return found


def normalised(name: str) -> str:
    """Return a project's name as file names of wheels have it (PEP 503 and 427)."""
    return re.sub(r"[-_.]+", "_", name).lower()
