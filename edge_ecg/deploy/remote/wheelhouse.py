"""A folder of wheels for a device that has no way to PyPI: what fits it, and what is missing.

Which wheel fits is told by its name alone (PEP 425, 427, 600): the Python, the ABI and the platform.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError, RemoteError, UsageError
from .pins import normalised, published
from .probe import Python
from .upload import sha256_of

# Of a manylinux platform pip takes only what is named to it: every one that the device accepts is named.
_GLIBC_MINORS = (17, 24, 26, 27, 28, 31, 34, 35, 36, 38, 39, 41)
# Of many devices at once, the first fills it for all.
_FILLING = threading.Lock()
_LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


@dataclass(frozen=True, slots=True)
class Target:
    """What wheels must fit: CPython ``version`` on ``machine`` with ``glibc``, versions (major, minor)."""

    version: tuple[int, int]
    machine: str
    glibc: tuple[int, int]

    @classmethod
    def of(cls, python: Python, machine: str) -> Target:
        """Return the target that a Python on a device is."""
        assert python.glibc is not None
        return cls(python.version, machine, python.glibc)

    def accepts(self, wheel: str) -> bool:
        """Whether a wheel of this file name can be installed there."""
        parts = wheel.removesuffix(".whl").split("-")
        if len(parts) not in (5, 6) or not wheel.endswith(".whl"):
            return False
        pythons, abis, platforms = (part.split(".") for part in parts[-3:])
        return any(self._runs(tag, abi) for tag in pythons for abi in abis) and any(
            map(self._platform, platforms)
        )

    def platforms(self) -> list[str]:
        """Return the platform tags that it accepts, as ``pip download --platform`` wants them."""
        minors = [minor for minor in _GLIBC_MINORS if (2, minor) <= self.glibc]
        return [f"manylinux2014_{self.machine}"] + [f"manylinux_2_{minor}_{self.machine}" for minor in minors]

    def _runs(self, python: str, abi: str) -> bool:
        major, minor = self.version
        if abi == "none":
            # pyX and pyXY: any Python of that major version, from that minor one on.
            return python in {f"py{major}", f"cp{major}{minor}"} or any(
                python == f"py{major}{older}" for older in range(minor + 1)
            )
        if abi == "abi3":
            return any(python == f"cp{major}{older}" for older in range(2, minor + 1))
        return python == abi == f"cp{major}{minor}"

    def _platform(self, tag: str) -> bool:
        if tag in {"any", f"linux_{self.machine}"}:
            return True
        name = tag.removesuffix(f"_{self.machine}")
        if name == tag:
            return False
        if name in _LEGACY:
            return _LEGACY[name] <= self.glibc
        kind, *numbers = name.split("_")
        if kind != "manylinux" or len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
            return False
        return (int(numbers[0]), int(numbers[1])) <= self.glibc


#: Raspberry Pi OS (64-bit), for those who fill a wheelhouse before they have a device.
SYSTEMS = {"bookworm": Target((3, 11), "aarch64", (2, 36)), "trixie": Target((3, 13), "aarch64", (2, 41))}


def pick(folder: Path, requirements: Iterable[str], target: Target) -> tuple[list[Path], list[str]]:
    """Return the wheels of a folder that meet the requirements, and the requirements that none meets."""
    there: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.glob("*.whl")):
        name, _, rest = path.name.partition("-")
        if target.accepts(path.name):
            there.setdefault((normalised(name), rest.partition("-")[0]), path)
    found: list[Path] = []
    missing: list[str] = []
    for requirement in requirements:
        name, _, version = requirement.partition("==")
        path_or_none = there.get((normalised(name), version))
        if path_or_none is None:
            missing.append(requirement)
        else:
            found.append(path_or_none)
    return found, missing


def fill(folder: Path, requirements: Sequence[str], target: Target) -> list[Path]:
    """Return wheels for all requirements; those that the folder lacks are downloaded from PyPI into it.

    Raises
    ------
    UsageError
        When the folder cannot be made, or this Python has no pip to download with.
    RemoteError
        When PyPI is out of reach or has no wheel that fits.
    DataError
        When a wheel in it is not the one that PyPI published.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be a wheelhouse.", why=f"{error.strerror}.") from error
    with _FILLING:
        found = _fill(folder, requirements, target)
    for wheel in found:
        if sha256_of(wheel) != published().get(wheel.name):
            raise DataError(
                f"{wheel} is not the file that PyPI published.",
                why="Its SHA-256 is another one: it is damaged, was built elsewhere, or somebody changed it.",
                remedy="Delete it; the same command downloads it again.",
            )
    return found


def _fill(folder: Path, requirements: Sequence[str], target: Target) -> list[Path]:
    found, missing = pick(folder, requirements, target)
    if not missing:
        return found
    done = subprocess.run(
        _download(folder, missing, target), capture_output=True, text=True, errors="replace", check=False
    )
    if "No module named pip" in done.stderr:
        raise UsageError(
            f"{len(missing)} wheels are missing in {folder}, and this Python has no pip to download them.",
            why=f"Missing: {', '.join(missing)}.",
            remedy=f"{sys.executable} -m ensurepip",
        )
    found, missing = pick(folder, requirements, target)
    if missing:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise RemoteError(
            f"{len(missing)} wheels are missing in {folder} and could not be downloaded.",
            why=f"{', '.join(missing)}. {errors[-1] if errors else ''}".rstrip(),
            remedy="Run it once where PyPI can be reached, then take the folder along.",
        )
    return found


def _download(folder: Path, missing: Sequence[str], target: Target) -> list[str]:
    major, minor = target.version
    argv = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    argv += ["--quiet", "--disable-pip-version-check", "--dest", str(folder)]
    argv += ["--implementation", "cp", "--python-version", f"{major}.{minor}"]
    for abi in (f"cp{major}{minor}", "abi3", "none"):
        argv += ["--abi", abi]
    for platform in target.platforms():
        argv += ["--platform", platform]
    return [*argv, *missing]
