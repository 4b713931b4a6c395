"""What a bill of materials is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .policy import Verdict


@dataclass(frozen=True, slots=True)
class Component:
    """A package, or a part that is built into one.

    Attributes
    ----------
    name, version:
        Normalised name; version is empty where it cannot be told.
    licence:
        SPDX expression, or None.
    verdict:
        By :func:`edge_ecg.sbom.policy.judge`.
    purl:
        Package URL; empty for parts without one.
    source:
        How the licence and the part are known, in a few words.
    sha256:
        Hex digest: of the file of a part that is one, of the list of files (RECORD) of a package; or empty.
    file:
        The part's file within the package, or empty.
    parts:
        What is built in.
    requires:
        Names of the packages that it asks for here.

    """

    name: str
    version: str
    licence: str | None
    verdict: Verdict
    purl: str = ""
    source: str = ""
    sha256: str = ""
    file: str = ""
    parts: tuple[Component, ...] = ()
    requires: tuple[str, ...] = ()


def walk(components: Iterable[Component]) -> Iterator[tuple[Component, Component | None]]:
    """Yield every component and part, each with the package that it is built into."""
    for component in components:
        yield component, None
        for part in component.parts:
            yield part, component
