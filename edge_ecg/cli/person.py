"""``--person``: whose recordings and profiles these are, and what notes that in the index."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from ..errors import EdgeEcgError, UsageError
from ..home import home_folder
from ..people import PROFILE, RECORDING, People, Person, real_place
from ..people.forget import file_owner
from ..pipeline import utc_now
from ..profile import load_profile
from ..recorder import Recorder

ENROL_HINT = "edge-ecg enrol --person NAME"


def add_person_option(parser: argparse.ArgumentParser, help_text: str) -> None:
    """Add ``--person``."""
    parser.add_argument("--person", metavar="NAME", help=help_text)


def people_here() -> People:
    """The index of this user on this machine."""
    return People(home_folder(os.environ), utc_now)


def recorded_person(args: argparse.Namespace, profile: Path | None = None) -> str | None:
    """Return whose recording it is going to be: ``--person``'s, else the profile's; None where neither says.

    A name that is new is introduced, and its pseudonym said on stderr.

    Raises
    ------
    UsageError
        When the name is none.
    DataError
        When the index cannot be read or written.

    """
    if args.person is not None:
        return introduce(people_here(), args.person).pseudonym
    return None if profile is None else load_profile(profile).person


def introduce(people: People, who: str) -> Person:
    """Return the person, and say on stderr what a new one is called here."""
    known = people.find(who)
    if known is not None:
        return known
    person = people.introduce(who)
    called = "" if person.name is None else f" The name stands only in {people.path}."
    print(f"New here: files and records call this person {person.pseudonym}.{called}", file=sys.stderr)
    return person


def begin_recording(stack: ExitStack, path: Path, pseudonym: str | None) -> Recorder:
    """Make a recording's file, closed with ``stack``, and note whose it is while there is one to forget.

    Raises
    ------
    DataError
        When the file or the index cannot be written.

    """
    if pseudonym is not None:
        # The recorder takes a file without samples away.
        stack.callback(_drop_if_gone, pseudonym, path)
    recorder = stack.enter_context(Recorder(path, person=pseudonym))
    if pseudonym is not None:
        people_here().add_file(pseudonym, path, RECORDING)
    return recorder


def _drop_if_gone(pseudonym: str, path: Path) -> None:
    if not path.exists():
        people_here().drop_files(pseudonym, {real_place(path)})


def profile_of(who: str) -> Path | None:
    """Return the newest profile of a person that is still in its place; None where there is none.

    Raises
    ------
    UsageError
        When nobody is called so.

    """
    person = people_here().find(who)
    if person is None:
        raise UsageError(
            f"Nobody is called {who!r} here.",
            remedy=f"A baseline makes a person known: {ENROL_HINT}. Who is: edge-ecg forget --list",
        )
    for file in reversed(person.files):
        if file.kind == PROFILE and file_owner(file) == person.pseudonym:
            return file.path
    return None


def owner_of_profile(path: Path) -> str | None:
    """Whose profile lies at a path; None where there is none that can be read, or it does not say."""
    try:
        return load_profile(path).person
    except EdgeEcgError:
        return None
