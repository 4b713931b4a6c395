"""One release: a bundle on the device, the runtime it runs in, and what was found out about it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ..bundle import Bundle
from ..bundle.fields import FieldError, Fields
from ..errors import DataError
from .disk import read_json
from .layout import BUNDLE_NAME, COMPLETE_NAME, RELEASE_NAME, RUNTIME_NAME

CONFIRMED_NAME = "confirmed"

_FOLDER = re.compile(r"(\d{4,9})-[A-Za-z0-9_][A-Za-z0-9_.-]*-[0-9a-f]{12}")
_NAME_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Release:
    """A release as its ``release.json`` says.

    Attributes
    ----------
    path:
        Its folder, ``NNNN-MODEL-SHA12``.
    number:
        Counts up.
    model:
        ``NAME@SHA12``, as in the records of ``run``.
    version:
        The bundle's version.
    created:
        When it was put here: ISO 8601, UTC.
    sha256:
        Of the bundle file, in hexadecimal.
    runtime:
        The runtime's name below ``runtimes``, or an absolute path.
    signed_by:
        Whose signature it bears, None when it bears none.
    admitted:
        What admission found: engines, golden windows, latency.

    """

    path: Path
    number: int
    model: str
    version: str
    created: str
    sha256: str
    runtime: str
    signed_by: str | None = None
    admitted: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The folder's name, which names the release."""
        return self.path.name

    @property
    def bundle(self) -> Path:
        """The bundle file."""
        return self.path / BUNDLE_NAME

    @property
    def confirmed(self) -> bool:
        """Whether it has proven itself on this device."""
        return (self.path / CONFIRMED_NAME).exists()

    @property
    def program(self) -> Path:
        """The ``edge-ecg`` of its runtime."""
        return self.path / RUNTIME_NAME / "bin" / "edge-ecg"

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``release.json``."""
        name, _, _ = self.model.rpartition("@")
        return {
            "number": self.number,
            "name": name,
            "model": self.model,
            "version": self.version,
            "created": self.created,
            "sha256": self.sha256,
            "runtime": self.runtime,
            "signed_by": self.signed_by,
            "admitted": dict(self.admitted),
        }

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read a release's folder; None when it is no release, or its ``release.json`` is damaged."""
        if not is_release_name(path.name):
            return None
        try:
            top = Fields(read_json(path / RELEASE_NAME), "release.json")
            return cls(
                path=path,
                number=top.integer("number"),
                model=top.text("model"),
                version=top.text("version"),
                created=top.text("created"),
                sha256=top.text("sha256"),
                runtime=top.text("runtime"),
                signed_by=top.optional_text("signed_by"),
                admitted=top.free("admitted"),
            )
        except (FieldError, OSError):
            return None

    def check(self) -> None:
        """Check that it is whole: its bundle bit for bit, and its runtime there.

        Raises
        ------
        DataError
            When it is not.

        """
        try:
            with self.bundle.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise self._broken(f"{self.bundle}: {error.strerror or error}.") from error
        if found != self.sha256:
            raise self._broken("The SHA-256 of its bundle is not the one it was admitted with.")
        runtime = self.path / RUNTIME_NAME
        if not runtime.is_dir():
            raise self._broken(f"Its runtime {self.runtime} is missing.")
        if not os.path.isabs(self.runtime) and not (runtime / COMPLETE_NAME).exists():
            raise self._broken(f"Its runtime {self.runtime} is not installed completely.")

    def _broken(self, why: str) -> DataError:
        return DataError(
            f"The release {self.name} is damaged.",
            why=why,
            remedy="Flash the bundle again: edge-ecg flash HOST BUNDLE",
        )


def is_release_name(name: str) -> bool:
    """Whether a folder's name is that of a release."""
    return _FOLDER.fullmatch(name) is not None


def release_name(number: int, bundle: Bundle) -> str:
    """Return ``NNNN-MODEL-SHA12``, whatever letters the model's name holds."""
    model = re.sub(r"[^A-Za-z0-9_.-]", "-", bundle.manifest.name).lstrip(".-")[:_NAME_LENGTH] or "model"
    return f"{number:04d}-{model}-{bundle.manifest_sha256[:12]}"
