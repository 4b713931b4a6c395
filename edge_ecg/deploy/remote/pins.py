"""The fixed versions that a runtime on a device is made of, and the hashes of their wheels.

``wheels.sha256`` holds what PyPI published of them, as ``sha256sum`` writes it: a device and a wheelhouse
take nothing else, whoever hands it to them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from ...errors import DataError

LITERT, BOTH = "litert", "both"
ENGINES = (LITERT, BOTH)
_HASH = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_.+!-]+\.whl)")
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


@cache
def published() -> Mapping[str, str]:
    """Return the SHA-256 of each wheel of the fixed versions, by its file name."""
    text = files("edge_ecg.deploy").joinpath("wheels.sha256").read_text(encoding="utf-8")
    return parse_hashes(text, "wheels.sha256")


def parse_hashes(text: str, source: str) -> dict[str, str]:
    """Read lines of ``sha256sum``: SHA-256 by file name.

    Raises
    ------
    DataError
        When a line is anything else.

    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = _HASH.fullmatch(line)
        if match is None:
            raise DataError(f"Line {number} of {source} is no SHA-256 and wheel: {line!r}.")
        found[match[2]] = match[1]
    return found


def with_hashes(requirement: str) -> str:
    """Return ``NAME==VERSION`` as a line of pip's requirements file that names the wheels it may be."""
    name, _, version = requirement.partition("==")
    wheels = [
        digest
        for wheel, digest in published().items()
        if (normalised(wheel.split("-")[0]), wheel.split("-")[1]) == (normalised(name), version)
    ]
    return " ".join([requirement, *(f"--hash=sha256:{digest}" for digest in wheels)])


def normalised(name: str) -> str:
    """Return a project's name as file names of wheels have it (PEP 503 and 427)."""
    return re.sub(r"[-_.]+", "_", name).lower()
