"""``edge-ecg evaluate``: the card of a trained run, or of all systems of a recipe, on people not seen."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EXIT_BUG, EXIT_DONE, EXIT_INTERRUPTED, DataError, UsageError
from .sweep import (
    WRITTEN,
    add_sweep_options,
    again,
    compute_card,
    make_folder,
    run_sweep,
    show_card,
    write_card,
)
from .talk import Talk

if TYPE_CHECKING:
    from edge_ecg_train.run_dir import RunDir
    from edge_ecg_train.store import WindowStore


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    from edge_ecg_train.metrics import DRAWS

    parser.usage = "edge-ecg evaluate RUN STORE [options]\n       edge-ecg evaluate --recipe FILE [options]"
    parser.add_argument("run", type=Path, nargs="?", metavar="RUN", help="the folder of a trained run")
    parser.add_argument(
        "store", type=Path, nargs="?", metavar="STORE", help="labelled windows (edge-ecg data prepare)"
    )
    parser.add_argument("--task", help="the task to evaluate (default: the only one of the store)")
    parser.add_argument(
        "--draws", type=int, help=f"bootstrap draws of people (default {DRAWS}, or the recipe's)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the draws and of the window split (default 0)"
    )
    parser.add_argument("--full", action="store_true", help="print the whole card, not two screens of it")
    parser.add_argument(
        "--write-card", action="store_true", help="keep a short card in the run: run.json and CARD.md"
    )
    add_sweep_options(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print, and keep the card when asked."""
    if args.draws is not None and args.draws < 1:
        raise UsageError(f"{args.draws} draws give no interval.", remedy="Take 1 or more; 2000 is usual.")
    if args.seed < 0:
        raise UsageError(f"--seed cannot be {args.seed}.", remedy="Take 0 or more.")
    if args.recipe is not None:
        if args.run is not None or args.task is not None or args.write_card:
            raise UsageError(
                "A recipe names its systems, data and task itself.",
                remedy="Leave RUN, STORE, --task and --write-card out; in a recipe: encoder: {run: RUN}.",
            )
        return run_sweep(args)
    if args.run is None or args.store is None:
        raise UsageError(
            "There is nothing to evaluate yet.",
            remedy="Give RUN and STORE, or a recipe: edge-ecg evaluate --recipe eegmat-honest --root DATA",
        )
    return _run_on_store(args)


def _run_on_store(args: argparse.Namespace) -> int:
    from edge_ecg_train.evaluate import OURS, notes_of, stage_run
    from edge_ecg_train.evaluation.executors import make_executor
    from edge_ecg_train.metrics import DRAWS
    from edge_ecg_train.run_dir import RunDir
    from edge_ecg_train.store import WindowStore

    draws = DRAWS if args.draws is None else args.draws
    place = RunDir(args.run)
    facts = place.read_json()
    store = WindowStore.open(args.store)
    task = _task(args.task, store)
    command = _command(args, task, draws)
    if args.output is not None:
        make_folder(args.output)
    try:
        with Talk() as talk:
            sweep = stage_run(place, store, task, draws=draws, seed=args.seed, listener=talk.listener())
            notes = notes_of(facts, task)
            told = {"run": place.path.name, "notes": notes}
            serial = make_executor("serial")
            found = compute_card(
                sweep, serial, talk, command=command, draws=draws, seed=args.seed, facts=told
            )
    except KeyboardInterrupt:
        print(f"stopped; what is computed is kept. Go on with: {again(args)}", file=sys.stderr)
        return EXIT_INTERRUPTED
    if args.output is not None:
        write_card(found, args.output)
    if args.write_card and sweep.failures:
        print("the card is not kept in the run, because something was left out", file=sys.stderr)
    elif args.write_card:
        _keep(place, found.card, sweep.name_of(OURS), notes)
    if args.json:
        print(json.dumps({"type": "card", "run": str(args.run), **found.card}))
    else:
        kept = "-o FOLDER writes" if args.output is None else f"in {args.output} are"
        show_card(found.card, f"The whole card: --full prints it, {kept} {WRITTEN}.", full=args.full)
    return EXIT_BUG if sweep.failures else EXIT_DONE


def _task(wanted: str | None, store: WindowStore) -> str:
    if wanted is not None:
        store.label(wanted)
        return wanted
    tasks = list(store.tasks)
    if len(tasks) == 1:
        return tasks[0]
    if not tasks:
        raise DataError(
            f"{store.path} has no labels, so that there is nothing to evaluate.",
            remedy="Prepare a data set that has them (edge-ecg data list).",
        )
    raise UsageError(f"{store.path} has several tasks: {', '.join(tasks)}.", remedy="Choose one with --task.")


def _command(args: argparse.Namespace, task: str, draws: int) -> str:
    words = ["edge-ecg", "evaluate", args.run.name, args.store.name, "--task", task]
    words += ["--draws", str(draws), "--seed", str(args.seed)]
    return shlex.join(words)


def _keep(place: RunDir, card: Mapping[str, Any], system: str, notes: list[str]) -> None:
    """Put the short card beside those of the run's other tasks."""
    from edge_ecg_train.card import SCHEMA, compact, kept_tasks, markdown
    from edge_ecg_train.checkpoint import write_atomically
    from edge_ecg_train.run_dir import head_settings

    facts = place.read_json()
    tasks = {**kept_tasks(facts), card["task"]: compact(card, system, notes)}
    encoders = {**facts.get("card_encoders", {}), card["task"]: place.encoder_sha256()}
    heads = {**facts.get("card_heads", {}), card["task"]: head_settings(facts, card["task"])}
    place.update_json(card={"schema": SCHEMA, "tasks": tasks}, card_encoders=encoders, card_heads=heads)
    pretrained_on = facts.get("pretext", {}).get("datasets")
    text = markdown(str(facts.get("name", place.path.name)), list(tasks.values()), pretrained_on)
    write_atomically(place.path / "CARD.md", lambda file: file.write(text.encode()))
    print(f"kept the card in {place.path / 'run.json'} and {place.path / 'CARD.md'}", file=sys.stderr)
