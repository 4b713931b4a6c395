"""``edge-ecg forget``: remove a person's profile and recordings, as far as this machine knows of them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from ..errors import EXIT_DONE, DataError, UsageError
from ..people import Fate, People, Person, Removal, forget, plan
from ..sinks.lines import shown
from .person import people_here

_STATES = {Fate.REMOVE: "to remove", Fate.REMOVED: "removed", Fate.GONE: "gone", Fate.KEPT: "NOT removed"}
_ELSEWHERE = (
    "Not known here and not removed: copies and backups, what sinks have sent, logs, and what a memory card\n"
    "still holds of deleted files (docs/privacy.md)."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="a name given with --person, or a pseudonym")
    parser.add_argument("--list", action="store_true", help="who is known here, with the files of each")
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed; remove nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.epilog = "Example: edge-ecg forget P-7f3k"


def run(args: argparse.Namespace) -> int:
    """List or forget, and return the exit code: 5 when something is left to do by hand."""
    people = people_here()
    if args.list:
        if args.name is not None:
            raise UsageError("--list takes no name.", remedy="One person: edge-ecg forget NAME --dry-run")
        return _list(args, people)
    if args.name is None:
        raise UsageError("Whom?", remedy="edge-ecg forget NAME; who is known: edge-ecg forget --list")
    person = people.find(args.name)
    if person is None:
        raise DataError(
            f"Nobody is called {args.name!r} here; nothing was removed.",
            why=f"{people.path} does not know the name.",
            remedy="Who is known: edge-ecg forget --list. What was made without --person: remove it by hand.",
        )
    if args.dry_run:
        return _say(args, person, plan(person))
    if not args.yes and not _agreed(person):
        print("Nothing was removed.", file=sys.stderr)
        return EXIT_DONE
    return _say(args, person, forget(people, person))


def _agreed(person: Person) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(
            "forget asks before it removes anything, and there is no terminal to ask on.",
            remedy=f"edge-ecg forget {person.pseudonym} --yes, after a look at --dry-run",
        )
    for removal in plan(person):
        print(_line(removal), file=sys.stderr)
    print(f"Remove this of {person.pseudonym} for good? Type yes: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() == "yes"


def _say(args: argparse.Namespace, person: Person, removals: Sequence[Removal]) -> int:
    """Print what was (or would be) done, and return the exit code."""
    left = [removal for removal in removals if not removal.complete]
    removed = sum(removal.fate in (Fate.REMOVE, Fate.REMOVED) for removal in removals)
    if args.json:
        for removal in removals:
            line = {"type": "file", "path": str(removal.path), "kind": removal.kind, "fate": removal.fate}
            print(json.dumps(line | {"why": removal.why or None}))
        total = {"type": "forget", "person": person.pseudonym, "dry_run": args.dry_run}
        print(json.dumps(total | {"removed": 0 if args.dry_run else removed, "incomplete": len(left)}))
    else:
        for removal in removals:
            print(_line(removal))
        verb = "would be" if args.dry_run else "were" if removed != 1 else "was"
        print(f"{person.pseudonym}: {removed} file{'' if removed == 1 else 's'} {verb} removed.")
        print(_ELSEWHERE)
    if args.dry_run or not left:
        return EXIT_DONE
    raise DataError(
        f"{len(left)} file{' is' if len(left) == 1 else 's are'} left to look for by hand.",
        why=f"{left[0].path}: {left[0].why}." + (" The others stand above." if len(left) > 1 else ""),
        remedy="Remove what is left yourself; what was NOT removed stays known, so forget can be run again.",
    )


def _line(removal: Removal) -> str:
    return f"{_STATES[removal.fate]:>11}  {removal.kind:9}  {shown(removal.path)}" + (
        f"  ({removal.why})" if removal.why else ""
    )


def _list(args: argparse.Namespace, people: People) -> int:
    known = people.all()
    for person in known:
        if args.json:
            print(json.dumps(_entry(person)))
            continue
        print(person.pseudonym + ("" if person.name is None else f"  {person.name}"))
        for file in person.files:
            print(f"  {file.kind:9}  {shown(file.path)}")
    if not known:
        print(f"Nobody is known here ({people.path}).", file=sys.stderr)
    return EXIT_DONE


def _entry(person: Person) -> dict[str, object]:
    return {
        "type": "person",
        "person": person.pseudonym,
        "name": person.name,
        "created": person.created,
        "files": [
            {"path": str(file.path), "kind": file.kind, "created": file.created} for file in person.files
        ],
    }
