"""The runtime's packages: what edge-ecg asks for, what those ask for, and so on, as installed here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from ..errors import UsageError
from .bundled import bundled
from .components import Component, walk
from .licences import declared_licence
from .markers import Requirement, normalised, parse_requirement, this_environment
from .policy import Verdict, judge

NAME = "edge-ecg"
# Extras that a device may have; the others are of the workstation.
RUNTIME_EXTRAS = ("hdf5", "lsl", "onnx", "tflite-legacy")

Find = Callable[[str], Distribution]


@dataclass(frozen=True, slots=True)
class Inventory:
    """edge-ecg itself, and all that it needs here, in the order of their names.

    Attributes
    ----------
    extras:
        Those of ``RUNTIME_EXTRAS`` whose packages are all installed; they are counted in.
    environment:
        The variables of markers that decided what is needed.

    """

    root: Component
    components: tuple[Component, ...]
    extras: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def refused(self) -> list[tuple[Component, Component | None]]:
        """Components and parts that may not be depended on, each with the package that it is built into."""
        return [pair for pair in walk(self.components) if not pair[0].verdict.accepted]


def take_inventory(find: Find = distribution, environment: Mapping[str, str] | None = None) -> Inventory:
    """Follow the requirements of edge-ecg through what is installed.

    Parameters
    ----------
    find:
        Gives the installed package of a name, or raises PackageNotFoundError.
    environment:
        Values for the variables of markers; None for this machine's.

    Raises
    ------
    UsageError
        When edge-ecg itself is not installed as a package.
    DataError
        When a requirement cannot be read.

    """
    here = this_environment() if environment is None else environment
    try:
        own = find(NAME)
    except PackageNotFoundError as error:
        raise UsageError(
            "edge-ecg is not installed as a package here, so nothing says what it needs.",
            remedy="pip install edge-ecg, or pip install -e . in its sources",
        ) from error
    extras = tuple(extra for extra in RUNTIME_EXTRAS if _present(own, extra, here, find))
    found: dict[str, Component] = {}
    asked: dict[str, set[str]] = {}
    waiting = [Requirement(NAME, extras, "", "")]
    while waiting:
        wanted = waiting.pop()
        # A package may be asked for again, with another extra.
        known = asked.setdefault(wanted.name, set())
        if wanted.name in found and known.issuperset(wanted.extras):
            continue
        known.update(wanted.extras)
        needed = _needed(wanted.name, tuple(sorted(known)), here, find)
        found[wanted.name] = _component(wanted.name, needed, find)
        waiting += needed
    root = found.pop(NAME)
    return Inventory(root, tuple(found[name] for name in sorted(found)), extras, here)


def _requirements(package: Distribution) -> list[Requirement]:
    return [parse_requirement(line) for line in package.requires or []]


def _present(own: Distribution, extra: str, here: Mapping[str, str], find: Find) -> bool:
    """Whether all that an extra adds is installed, and it adds something here."""
    added = [one for one in _requirements(own) if one.holds(here, (extra,)) and not one.holds(here)]
    names = {normalised(name) for name in own.metadata.get_all("Provides-Extra") or []}
    return extra in names and bool(added) and all(_installed(one.name, find) for one in added)


def _installed(name: str, find: Find) -> bool:
    try:
        find(name)
    except PackageNotFoundError:
        return False
    return True


def _needed(name: str, extras: tuple[str, ...], here: Mapping[str, str], find: Find) -> list[Requirement]:
    try:
        package = find(name)
    except PackageNotFoundError:
        return []
    return [one for one in _requirements(package) if one.holds(here, extras)]


def _component(name: str, needed: list[Requirement], find: Find) -> Component:
    try:
        package = find(name)
    except PackageNotFoundError:
        return Component(name, "", None, Verdict(False, "it is needed here and not installed"))
    licence = declared_licence(name, package)
    record = package.read_text("RECORD")
    return Component(
        name,
        package.version,
        licence,
        judge(name, licence),
        purl=f"pkg:pypi/{name}@{package.version}",
        source="the package's metadata",
        sha256="" if record is None else hashlib.sha256(record.encode()).hexdigest(),
        parts=() if name == NAME else bundled(name, package),
        requires=tuple(sorted({one.name for one in needed})),
    )
