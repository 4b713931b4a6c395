"""``edge-ecg sbom``: what the runtime is made of, and whether all of its licences are permissive."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from ..errors import EXIT_DONE, DataError, GateError
from ..sbom import Component, Inventory, take_inventory, walk
from ..sbom.cyclonedx import text

FORMATS = ("table", "markdown", "cyclonedx")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default=FORMATS[0],
        help="table (default), markdown, or CycloneDX 1.6 JSON",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write it there instead of to stdout"
    )
    parser.epilog = (
        "Exit code 6 when a licence is not known or not permissive. Looks at what is installed, offline.\n"
        "Example: edge-ecg sbom --format cyclonedx -o edge-ecg.cdx.json"
    )


def run(args: argparse.Namespace) -> int:
    """Print or write the list, and return the exit code."""
    inventory = take_inventory()
    made = _made(args.format, inventory)
    if args.output is not None:
        try:
            args.output.write_text(made, encoding="utf-8")
        except OSError as error:
            raise DataError(f"{args.output} cannot be written.", why=f"{error.strerror or error}.") from error
        print(f"{len(inventory.components)} packages in {args.output}", file=sys.stderr)
    if args.json:
        for component, within in walk(inventory.components):
            print(json.dumps(_line(component, within)))
        print(json.dumps(_total(inventory)))
    elif args.output is None:
        print(made, end="")
    if inventory.refused:
        raise _refusal(inventory)
    return EXIT_DONE


def _made(form: str, inventory: Inventory) -> str:
    if form == "cyclonedx":
        return text(inventory, os.environ)
    return _markdown(inventory) if form == "markdown" else _table(inventory)


def _shown(component: Component) -> str:
    return " ".join(word for word in (component.name, component.version) if word)


def _table(inventory: Inventory) -> str:
    rows = [
        (f"{'  ' if within else ''}{_shown(one)}", _marked(one)) for one, within in walk(inventory.components)
    ]
    width = max((len(name) for name, _ in rows), default=0)
    lines = [f"{_shown(inventory.root)}  {inventory.root.licence or ''}".rstrip(), ""]
    lines += [f"{name:{width}}  {licence}" for name, licence in rows]
    return "\n".join([*lines, *_notes(inventory, "* ")]) + "\n"


def _markdown(inventory: Inventory) -> str:
    """Packages in rows; what is built in follows in the last column, one of a kind once."""
    lines = ["| package | version | licence | built in |", "|---|---|---|---|"]
    for component in inventory.components:
        parts = ", ".join(_parts(component))
        lines.append(f"| {component.name} | {component.version} | {_marked(component)} | {parts} |")
    return "\n".join([*lines, *_notes(inventory, "- \\* ")]) + "\n"


def _parts(component: Component) -> list[str]:
    """The parts of a package, one of a kind once; Rust crates, of which there are dozens, as one."""
    crates = [part for part in component.parts if part.purl.startswith("pkg:cargo/")]
    parts = dict.fromkeys(f"{one.name} ({_marked(one)})" for one in component.parts if one not in crates)
    if crates:
        parts[f"{len(crates)} Rust crates ({'; '.join(sorted({_marked(one) for one in crates}))})"] = None
    return list(parts)


def _marked(component: Component) -> str:
    """The licence, with a star where a note says more."""
    return f"{component.licence or 'NOT KNOWN'}{' *' if component.verdict.reason else ''}"


def _notes(inventory: Inventory, bullet: str) -> list[str]:
    notes = {
        f"{bullet}{one.name}{'' if one.verdict.accepted else ' is NOT ACCEPTED'}: {one.verdict.reason}."
        for one, _ in walk(inventory.components)
        if one.verdict.reason
    }
    return ["", *sorted(notes)] if notes else []


def _line(component: Component, within: Component | None) -> dict[str, object]:
    return {
        "type": "component",
        "name": component.name,
        "version": component.version or None,
        "licence": component.licence,
        "accepted": component.verdict.accepted,
        "note": component.verdict.reason or None,
        "purl": component.purl or None,
        "within": None if within is None else within.name,
        "file": component.file or None,
        "known_by": component.source or None,
    }


def _total(inventory: Inventory) -> dict[str, object]:
    return {
        "type": "sbom",
        "name": inventory.root.name,
        "version": inventory.root.version,
        "extras": list(inventory.extras),
        "packages": len(inventory.components),
        "refused": len(inventory.refused),
    }


def _refusal(inventory: Inventory) -> GateError:
    refused = inventory.refused
    named = [
        f"{one.name}{'' if within is None else f' in {within.name}'}: {one.verdict.reason}"
        for one, within in refused
    ]
    return GateError(
        f"{len(refused)} component{' has' if len(refused) == 1 else 's have'} no licence that is accepted.",
        why=f"{'; '.join(named[:5])}{' ...' if len(named) > 5 else ''}.",
        remedy="Look its licence up. If it is permissive, or there is a reason to accept it, say so in "
        "edge_ecg/sbom/; else do without the package.",
    )
