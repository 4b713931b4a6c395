"""``people.json`` in edge-ecg's folder: which files belong to which person (mode 0600).

    {"type": "edge-ecg people", "schema": 1, "people": {
      "P-7f3k": {"name": "ANNA", "created": "2026-01-31T12:00:00.000Z", "files": [
        {"path": "/home/pi/today.csv", "kind": "recording", "created": "2026-01-31T12:05:00.000Z"}]}}}

Nowhere else stands a name that was given with ``--person``; everything else holds the pseudonym.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ..bundle.fields import FieldError, Fields
from ..errors import DataError, UsageError
from ..private_files import create_private, private_folder, write_private
from ..records import utc_text
from .pseudonym import is_pseudonym, new_pseudonym

PROFILE, RECORDING = "profile", "recording"
KINDS = (PROFILE, RECORDING)
_FILE, _LOCK = "people.json", "people.lock"
_TYPE, _SCHEMA = "edge-ecg people", 1
_MAX_BYTES = 16 * 1024 * 1024
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file: where (absolute, its folder without links), ``profile`` or ``recording``, and since when."""

    path: Path
    kind: str
    created: str


@dataclass(frozen=True, slots=True)
class Person:
    """A pseudonym, the name that was given for it (or None), and the files."""

    pseudonym: str
    name: str | None
    created: str
    files: tuple[KnownFile, ...] = ()


class People:
    """The index; each call reads it anew, and each change is one step under a lock.

    Parameters
    ----------
    home:
        edge-ecg's folder (:func:`edge_ecg.home.home_folder`). It is made when something is first written.
    clock:
        Gives the time of day, for ``created``.

    Raises
    ------
    DataError
        From every call: when the index cannot be read or written, or is damaged.

    """

    def __init__(self, home: Path, clock: Callable[[], datetime]) -> None:
        self.home = home
        self.path = home / _FILE
        self._clock = clock

    def all(self) -> tuple[Person, ...]:
        """Everybody, in the order of their pseudonyms."""
        return tuple(person for _, person in sorted(self._read().items()))

    def find(self, who: str) -> Person | None:
        """Return the person of a name or a pseudonym; None where nobody is called so."""
        return _found(self._read(), checked_name(who))

    def draw(self) -> str:
        """Draw a pseudonym that nobody has; it is kept with the first file (:meth:`add_file`)."""
        with self._changing() as people:
            return new_pseudonym(people)

    def introduce(self, who: str) -> Person:
        """Return the person of a name or a pseudonym, a new one where nobody is called so.

        Raises
        ------
        UsageError
            When ``who`` cannot be a name.

        """
        name = checked_name(who)
        with self._changing() as people:
            person = _found(people, name)
            if person is None:
                is_name = not is_pseudonym(name)
                pseudonym = new_pseudonym(people) if is_name else name
                person = Person(pseudonym, name if is_name else None, self._now())
                people[pseudonym] = person
        return person

    def add_file(self, pseudonym: str, path: Path, kind: str) -> None:
        """Note that a file is a person's, and nobody else's; a person who is not known yet becomes so."""
        file = KnownFile(real_place(path), kind, self._now())
        with self._changing() as people:
            for other in list(people.values()):
                # A profile's place may hold that of one person and, as the one before, that of another.
                if other.pseudonym == pseudonym or kind != PROFILE:
                    people[other.pseudonym] = _without(other, {file.path})
            person = people.get(pseudonym) or Person(pseudonym, None, self._now())
            people[pseudonym] = replace(person, files=(*person.files, file))

    def drop_files(self, pseudonym: str, paths: set[Path], *, whole: bool = False) -> None:
        """Take files out of the index, and (``whole``) the person, too, when none is left."""
        with self._changing() as people:
            person = people.get(pseudonym)
            if person is None:
                return
            left = _without(person, paths)
            people[pseudonym] = left
            if whole and not left.files:
                del people[pseudonym]

    def _now(self) -> str:
        return utc_text(self._clock())

    def _read(self) -> dict[str, Person]:
        try:
            with self.path.open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise DataError(f"{self.path} cannot be read.", why=f"{error.strerror or error}.") from error
        try:
            if len(data) > _MAX_BYTES:
                raise FieldError("it is far too large")
            return _decoded(json.loads(data))
        except (ValueError, RecursionError, FieldError) as error:
            raise DataError(
                f"{self.path} is damaged: whose files are whose cannot be told.",
                why=f"{str(error).rstrip('.')}.",
                remedy="Mend it, or move it away; the files that it named have to be removed by hand then.",
            ) from error

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Person]]:
        """Yield the people by pseudonym, and keep what they have become; one process at a time."""
        try:
            private_folder(self.home)
            with _locked(self.home / _LOCK):
                before = self._read()
                people = dict(before)
                yield people
                if people != before:
                    write_private(self.path, _encoded(people))
        except OSError as error:
            raise DataError(
                f"{self.path} cannot be written.",
                why=f"{error.strerror or error}.",
                remedy="Whose files are whose is kept there; EDGE_ECG_HOME names another folder.",
            ) from error


def checked_name(who: str) -> str:
    """Return a name without space around it and in one spelling (Unicode NFC); UsageError when it is none."""
    name = unicodedata.normalize("NFC", who).strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UsageError(
            f"{who[:_LONGEST_NAME]!r} cannot be a person's name.",
            remedy=f"Give 1 to {_LONGEST_NAME} letters, or leave --person out: a pseudonym is drawn then.",
        )
    return name


def real_place(path: Path) -> Path:
    """Return the absolute path with all links of its folder followed, but not the file itself."""
    return Path(os.path.realpath(path.parent)) / path.name


def _found(people: dict[str, Person], name: str) -> Person | None:
    if name in people:
        return people[name]
    return next((person for person in people.values() if person.name == name), None)


def _without(person: Person, paths: set[Path]) -> Person:
    return replace(person, files=tuple(file for file in person.files if file.path not in paths))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # not on Windows, where a device is never shared by services
        yield
        return
    try:
        descriptor = create_private(path)
    except FileExistsError:
        descriptor = os.open(path, os.O_WRONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _encoded(people: dict[str, Person]) -> bytes:
    entries = {
        person.pseudonym: {
            "name": person.name,
            "created": person.created,
            "files": [
                {"path": str(file.path), "kind": file.kind, "created": file.created} for file in person.files
            ],
        }
        for _, person in sorted(people.items())
    }
    return (json.dumps({"type": _TYPE, "schema": _SCHEMA, "people": entries}, indent=1) + "\n").encode()


def _decoded(value: Any) -> dict[str, Person]:
    if not isinstance(value, dict) or value.get("type") != _TYPE or value.get("schema") != _SCHEMA:
        raise FieldError(f"it is no {_TYPE} of schema {_SCHEMA}")
    people = {}
    for pseudonym, fields in Fields(value, "index").child("people").children():
        files = fields.children_of("files")
        people[pseudonym] = Person(
            pseudonym, fields.optional_text("name"), fields.text("created"), tuple(map(_file, files))
        )
    return people


def _file(fields: Fields) -> KnownFile:
    # A name in another encoding, or with a line end in it: one such file must not lock out all people.
    path = fields.any_text("path")
    if not os.path.isabs(path) or "\0" in path:
        raise FieldError(f"{fields.where}.path must be an absolute path, not {path!r}")
    return KnownFile(Path(path), fields.choice("kind", KINDS), fields.text("created"))
