"""``edge-ecg evaluate --recipe``: all systems of a recipe, computed cell by cell, and their card."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..errors import EXIT_BUG, EXIT_DONE, EXIT_INTERRUPTED, EdgeEcgError, UsageError
from .progress import Progress
from .talk import Talk

if TYPE_CHECKING:
    from edge_ecg_train.evaluation.cells import Cell
    from edge_ecg_train.evaluation.executors import Executor
    from edge_ecg_train.evaluation.predictions import Predictions
    from edge_ecg_train.evaluation.sweep import Sweep
    from edge_ecg_train.evaluation.sweep_recipe import SweepRecipe

DATA = "EDGE_ECG_DATA"
WRITTEN = "CARD.md, card.html and card.json"
_PIPED_WIDTH = 160


def add_sweep_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a sweep."""
    group = parser.add_argument_group("all systems of a recipe")
    group.add_argument("--recipe", metavar="NAME|FILE", help="a built-in sweep recipe or a YAML file")
    group.add_argument(
        "--root", type=Path, metavar="DIR", help=f"the folder that holds the data sets (default: ${DATA})"
    )
    group.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="for card.json, CARD.md and card.html (default: evaluations/NAME)",
    )
    group.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="windows, encoders and results that are not computed again (default: beside the output)",
    )
    group.add_argument(
        "--executor", default="joblib", metavar="NAME", help="serial, joblib (default), ray or slurm"
    )
    group.add_argument("--jobs", type=int, default=0, metavar="N", help="cells at once (default: all cores)")
    group.add_argument(
        "--devices", default="", metavar="LIST", help="cpu, or GPUs that cells may use, such as 0,1"
    )
    group.add_argument(
        "--ray-address", metavar="ADDRESS", help="of a running Ray cluster (default: start one)"
    )
    group.add_argument(
        "--slurm",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of submitit, e.g. slurm_partition=gpu or timeout_min=120; may be repeated",
    )


def run_sweep(args: argparse.Namespace) -> int:
    """Stage, compute, print the card and write it; what was computed before an interrupt stays."""
    from edge_ecg_train.evaluation.sweep import stage
    from edge_ecg_train.evaluation.sweep_recipe import load_sweep

    recipe = load_sweep(args.recipe)
    executor = _executor(args)
    root = _root(args.root, recipe)
    output = args.output or Path("evaluations") / recipe.name
    cache = args.cache or output.parent / "cache"
    make_folder(output)
    facts = {"recipe": recipe.name}
    try:
        with Talk() as talk:
            sweep = stage(recipe, root, cache, talk.listener())
            found = compute_card(
                sweep,
                executor,
                talk,
                command=_command(args),
                draws=args.draws or recipe.draws,
                seed=args.seed,
                facts=facts,
            )
    except KeyboardInterrupt:
        print(f"stopped; what is computed is kept. Go on with: {again(args)}", file=sys.stderr)
        return EXIT_INTERRUPTED
    write_card(found, output)
    if args.json:
        print(json.dumps({"type": "card", "recipe": recipe.name, **found.card}))
    else:
        show_card(found.card, f"The whole card: {WRITTEN} in {output}, or --full.", full=args.full)
    return EXIT_BUG if sweep.failures else EXIT_DONE


@dataclass(frozen=True)
class Found:
    """A card, and the predictions that it was made of."""

    card: dict[str, Any]
    predictions: list[Predictions]


def compute_card(
    sweep: Sweep,
    executor: Executor,
    talk: Talk,
    *,
    command: str,
    draws: int,
    seed: int,
    facts: Mapping[str, Any],
) -> Found:
    """Compute what is not there yet, look for leaks, and make the card.

    Parameters
    ----------
    sweep, executor:
        What to compute, and where.
    talk:
        Says how far it is.
    command, draws, seed:
        Stand on the card.
    facts:
        Stand on the card beside duration, machine, encoders and failures.

    """
    from edge_ecg_train.evaluation.card_dict import build_card
    from edge_ecg_train.evaluation.sweep import check, collect

    began_s = time.monotonic()
    _compute(sweep, executor)
    for failure in sweep.failures:
        print(f"left out: {failure}", file=sys.stderr)
    predictions, findings = collect(sweep), check(sweep)
    talk.say("the card")
    recipe = sweep.recipe
    card = build_card(
        predictions,
        findings,
        title=recipe.title or recipe.name,
        command=command,
        store_facts=sweep.store.info,
        draws=draws,
        seed=seed,
        reference=None if recipe.reference is None else sweep.name_of(recipe.reference),
        pairs=tuple((sweep.name_of(ours), sweep.name_of(theirs)) for ours, theirs in recipe.pairs),
        facts={
            **facts,
            "encoders": {name: "; ".join(map(_encoder, each)) for name, each in sweep.encoders.items()},
            "seconds": round(time.monotonic() - began_s, 1),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "failures": list(sweep.failures),
        },
    )
    return Found(card, predictions)


def _executor(args: argparse.Namespace) -> Executor:
    from edge_ecg_train.evaluation.executors import hide_gpus, make_executor

    devices = tuple(one for one in args.devices.split(",") if one)
    if devices == ("cpu",):
        hide_gpus()
    options = {}
    for text in args.slurm:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--slurm {text} is no NAME=VALUE.", remedy="E.g. --slurm slurm_partition=gpu")
        options[name] = int(value) if value.isdecimal() else value
    return make_executor(
        args.executor, jobs=args.jobs, devices=devices, address=args.ray_address, options=options
    )


def _root(given: Path | None, recipe: SweepRecipe) -> Path:
    named = given or recipe.data.root or os.environ.get(DATA)
    if not named:
        raise UsageError(
            "Where the data sets are is not known.", remedy=f"Give --root DIR, or set {DATA}=DIR."
        )
    return Path(named).expanduser()


def make_folder(output: Path) -> None:
    """Make the folder of a card.

    Raises
    ------
    UsageError
        When that is not possible.

    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{output} cannot be made.", why=f"{error.strerror}.", remedy="Give another place with -o."
        ) from None


def _compute(sweep: Sweep, executor: Executor) -> None:
    from edge_ecg_train.evaluation.cells import finished
    from edge_ecg_train.evaluation.sweep import execute

    cells = sweep.cells
    with Progress(len(cells), "cells", sys.stderr) as progress:
        progress.resume_at(sum(finished(cell) is not None for cell in cells))

        def count(cell: Cell, failure: EdgeEcgError | None) -> None:
            progress.advance(note=f"{cell.label}{' failed' if failure else ''}")

        execute(sweep, executor, count)


def _encoder(facts: Mapping[str, Any]) -> str:
    seen = facts["datasets"]
    told = (
        "of unknown origin" if seen is None else f"pretrained on {', '.join(seen)}" if seen else "untrained"
    )
    return f"{facts['name']}, {told}, SHA-256 {facts['sha256'][:12]}"


def show_card(card: Mapping[str, Any], whole: str, *, full: bool) -> None:
    """Print a card: what decides, and where the rest is (``whole``); or all of it."""
    from rich.console import Console

    from edge_ecg_train.evaluation.terminal import print_brief, print_card

    console = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)
    if full:
        print_card(card, console)
    else:
        print_brief(card, console, whole)


def write_card(found: Found, output: Path) -> None:
    """Write card.json, CARD.md and card.html into a folder that is there."""
    from edge_ecg_train.checkpoint import write_atomically
    from edge_ecg_train.evaluation.html import html_of
    from edge_ecg_train.evaluation.markdown import markdown_of

    for name, text in (
        ("card.json", json.dumps(found.card, indent=2) + "\n"),
        ("CARD.md", markdown_of(found.card)),
        ("card.html", html_of(found.card, found.predictions)),
    ):
        write_atomically(output / name, partial(_write, text.encode()))
    print(f"wrote {WRITTEN} in {output}", file=sys.stderr)


def _write(data: bytes, file: IO[bytes]) -> None:
    file.write(data)


def again(args: argparse.Namespace) -> str:
    """Return the whole command once more: with other places it would not find what is computed."""
    what = [args.recipe] if args.recipe is not None else [args.run, args.store]
    words = ["edge-ecg", "evaluate", *(["--recipe"] if args.recipe is not None else []), *map(str, what)]
    for name, value in (
        ("--task", args.task), ("--draws", args.draws), ("--seed", args.seed or None), ("--root", args.root),
        ("-o", args.output), ("--cache", args.cache),
        ("--executor", args.executor if args.executor != "joblib" else None), ("--jobs", args.jobs or None),
        ("--devices", args.devices or None), ("--ray-address", args.ray_address),
        *(("--slurm", text) for text in args.slurm),
    ):  # fmt: skip
        if value is not None:
            words += [name, str(value)]
    words += [f"--{name}" for name in ("full", "write-card", "json") if getattr(args, name.replace("-", "_"))]
    return shlex.join(words)


def _command(args: argparse.Namespace) -> str:
    """What stands on the card: what decides its numbers, and nothing of this machine's folders."""
    words = ["edge-ecg", "evaluate", "--recipe", args.recipe]
    if args.output is not None:
        words += ["-o", str(args.output)]
    if args.draws is not None:
        words += ["--draws", str(args.draws)]
    if args.seed:
        words += ["--seed", str(args.seed)]
    return shlex.join(words)
