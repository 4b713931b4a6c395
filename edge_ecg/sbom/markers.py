"""Requirements of packages: ``name[extra] >=1.2; python_version < '3.12'``, and whether they hold here.

Grammar: Python Packaging User Guide, "Dependency specifiers" (PEP 508). The packages that can read it are no
part of the runtime; a test compares this reader with one of them.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import DataError

_REQUIREMENT = re.compile(
    r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?\s*([^;]*?)\s*(?:;(.*))?"
)
_TOKEN = re.compile(
    r"\s*(\(|\)|===|~=|==|!=|<=|>=|<|>|'[^']*'|\"[^\"]*\"|not\s+in\b|[A-Za-z_][A-Za-z0-9_.]*)", re.ASCII
)
_VERSION = re.compile(r"\d+(?:\.\d+)*")
_VERSIONS = ("python_version", "python_full_version", "implementation_version")
_COMPARISONS = ("===", "~=", "==", "!=", "<=", ">=", "<", ">", "in", "not in")


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package that another one asks for: its normalised name, extras, versions and marker, as written."""

    name: str
    extras: tuple[str, ...]
    versions: str
    marker: str

    def holds(self, environment: Mapping[str, str], extras: tuple[str, ...] = ()) -> bool:
        """Whether it is asked for in an environment, by a package that was installed with ``extras``.

        Raises
        ------
        DataError
            When the marker cannot be read.

        """
        if not self.marker.strip():
            return True
        return any(_Marker(self.marker, {**environment, "extra": extra}).value() for extra in ("", *extras))


def normalised(name: str) -> str:
    """The one spelling of a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_requirement(text: str) -> Requirement:
    """Read a line ``Requires-Dist`` of a package's metadata.

    Raises
    ------
    DataError
        When it does not begin with a name.

    """
    match = _REQUIREMENT.fullmatch(text)
    if match is None:
        raise DataError(f"The requirement {text!r} of a package cannot be read.")
    extras = tuple(normalised(extra.strip()) for extra in (match[2] or "").split(",") if extra.strip())
    return Requirement(normalised(match[1]), extras, match[3].strip(), (match[4] or "").strip())


def this_environment() -> dict[str, str]:
    """The variables of markers, for this Python on this machine."""
    version = sys.implementation.version
    release = "" if version.releaselevel == "final" else f"{version.releaselevel[0]}{version.serial}"
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": f"{version.major}.{version.minor}.{version.micro}{release}",
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


class _Marker:
    """One marker, read once from left to right; ``or`` binds less than ``and``."""

    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        self._text = text
        self._environment = environment
        self._tokens: list[str] = []
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._unreadable()
            self._tokens.append(re.sub(r"\s+", " ", match[1]) if match[1][0] not in "'\"" else match[1])
            position = match.end()

    def value(self) -> bool:
        result = self._either()
        if self._tokens:
            raise self._unreadable()
        return result

    def _either(self) -> bool:
        result = self._both()
        while self._tokens[:1] == ["or"]:
            self._take()
            result = self._both() or result
        return result

    def _both(self) -> bool:
        result = self._one()
        while self._tokens[:1] == ["and"]:
            self._take()
            result = self._one() and result
        return result

    def _one(self) -> bool:
        if self._tokens[:1] == ["("]:
            self._take()
            result = self._either()
            if self._take() != ")":
                raise self._unreadable()
            return result
        left, left_name = self._operand()
        comparison = self._take()
        right, right_name = self._operand()
        if comparison not in _COMPARISONS:
            raise self._unreadable()
        if "extra" in (left_name, right_name):
            left, right = normalised(left), normalised(right)
        elif (left_name in _VERSIONS or right_name in _VERSIONS) and comparison not in (
            "in",
            "not in",
            "===",
        ):
            return self._compare_versions(left, comparison, right)
        return self._compare_texts(left, comparison, right)

    def _operand(self) -> tuple[str, str]:
        """Return the value of a variable or a quoted text, and the variable's name."""
        token = self._take()
        if token[:1] in ("'", '"'):
            return token[1:-1], ""
        if token not in self._environment:
            raise self._unreadable()
        return self._environment[token], token

    def _compare_texts(self, left: str, comparison: str, right: str) -> bool:
        if comparison == "in":
            return left in right
        if comparison == "not in":
            return left not in right
        if comparison in ("==", "==="):
            return left == right
        if comparison == "!=":
            return left != right
        raise self._unreadable()

    def _compare_versions(self, left: str, comparison: str, right: str) -> bool:
        if right.endswith(".*") and comparison in ("==", "!="):
            wanted = self._version(right[:-2])
            same = _padded(self._version(left), len(wanted))[: len(wanted)] == wanted
            return same == (comparison == "==")
        first, second = self._version(left), self._version(right)
        length = max(len(first), len(second))
        ours, theirs = _padded(first, length), _padded(second, length)
        if comparison == "~=":
            return ours >= theirs and ours[: len(second) - 1] == theirs[: len(second) - 1]
        return {
            "==": ours == theirs,
            "!=": ours != theirs,
            "<": ours < theirs,
            ">": ours > theirs,
            "<=": ours <= theirs,
            ">=": ours >= theirs,
        }[comparison]

    def _version(self, text: str) -> tuple[int, ...]:
        """The numbers of a version; what marks a candidate (``3.14.0rc1``) is left out."""
        match = _VERSION.match(text)
        if match is None:
            raise self._unreadable()
        return tuple(int(number) for number in match[0].split("."))

    def _take(self) -> str:
        if not self._tokens:
            raise self._unreadable()
        return self._tokens.pop(0)

    def _unreadable(self) -> DataError:
        return DataError(f"The condition {self._text!r} of a package's requirement cannot be read.")


def _padded(version: tuple[int, ...], length: int) -> tuple[int, ...]:
    return version + (0,) * (length - len(version))
