"""``edge-ecg evaluate``: the card of a trained run, or of all systems of a recipe, on people not seen."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from edge_ecg.heads.mlp import MlpHead
from edge_ecg_train.card import COLUMNS, cell, make_card, markdown, warnings_of
from edge_ecg_train.embeddings import embeddings_of
from edge_ecg_train.evaluate import Evaluator, Features
from edge_ecg_train.heads import HeadConfig, fit_head
from edge_ecg_train.metrics import DRAWS
from edge_ecg_train.rounding import rounding_covariance
from edge_ecg_train.run_dir import RunDir
from edge_ecg_train.store import WindowStore

from ..errors import EXIT_DONE, DataError, UsageError
from .progress import Progress
from .sweep import add_sweep_options, run_sweep


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
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
    parser.add_argument(
        "--write-card", action="store_true", help="keep the card in the run: run.json and CARD.md"
    )
    add_sweep_options(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print, and keep the card when asked."""
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
    args.draws = DRAWS if args.draws is None else args.draws
    if args.draws < 1:
        raise UsageError(f"{args.draws} draws give no interval.", remedy="Take 1 or more; 2000 is usual.")
    place = RunDir(args.run)
    facts = place.read_json()
    store = WindowStore.open(args.store)
    _check_preprocessing(facts, store, args)
    task = _task(args.task, store)
    config = _head_config(facts, task)
    classes = len(store.tasks[task])
    rounding = rounding_covariance(place, store) if config.rounding_penalty else None

    def fit(features: Features, labels: NDArray[np.int64], subject: NDArray[np.str_]) -> MlpHead:
        return fit_head(features, labels, config, classes=classes, groups=subject, rounding=rounding)

    with Progress(len(store), "windows", sys.stderr) as progress:
        embeddings = embeddings_of(place, store, on_windows=progress.advance)
        progress.advance(len(store) - progress.done)
    evaluator = Evaluator(store, task, embeddings, fit, draws=args.draws, seed=args.seed)
    with Progress(evaluator.folds, "models", sys.stderr) as progress:
        evaluation = evaluator.run(on_fold=progress.advance)
    card = make_card(evaluation, store, _pretext_datasets(facts), _command(args, task))
    if args.write_card:
        _write(place, facts, card)
    if args.json:
        print(json.dumps({"type": "card", "run": str(args.run), **card}))
    else:
        _print(card)
    return EXIT_DONE


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


def _check_preprocessing(facts: Mapping[str, Any], store: WindowStore, args: argparse.Namespace) -> None:
    trained = facts.get("preprocessing")
    if trained is None or trained == dict(store.preprocessing):
        return
    names = sorted(set(trained) | set(store.preprocessing))
    differing = [
        f"{name} {trained.get(name)!r} in the run, {store.preprocessing.get(name)!r} in the store"
        for name in names
        if trained.get(name) != store.preprocessing.get(name)
    ]
    raise DataError(
        f"{args.store} was prepared in another way than what {args.run} was trained on.",
        why=f"{'; '.join(differing)}.",
        remedy="Prepare it again with the run's settings (edge-ecg data prepare).",
    )


def _head_config(facts: Mapping[str, Any], task: str) -> HeadConfig:
    """The settings of the run's own head, so that the head that is judged is the head that is shipped."""
    settings = facts.get("emotion", {}).get(task, {}).get("head")
    if settings is None:
        return HeadConfig()
    try:
        return HeadConfig(**{**settings, "hidden": tuple(settings.get("hidden", ()))})
    except TypeError as error:
        raise DataError(
            f"run.json describes a head for {task!r} that this version does not know.",
            why=f"{error}.",
            remedy="Train it again: edge-ecg train emotion",
        ) from None


def _pretext_datasets(facts: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    entries = facts.get("pretext", {}).get("datasets")
    if entries is None:
        return None
    return [entry if isinstance(entry, dict) else {"name": str(entry)} for entry in entries]


def _command(args: argparse.Namespace, task: str) -> str:
    words = ["edge-ecg", "evaluate", args.run.name, args.store.name, "--task", task]
    words += ["--draws", str(args.draws), "--seed", str(args.seed)]
    return shlex.join(words)


def _write(place: RunDir, facts: Mapping[str, Any], card: dict[str, Any]) -> None:
    kept = facts.get("card", {}).get("tasks", {})
    tasks = {**kept, card["task"]: card}
    place.update_json(card={"schema": 1, "tasks": tasks})
    text = markdown(str(facts.get("name", place.path.name)), list(tasks.values()))
    (place.path / "CARD.md").write_text(text, encoding="utf-8")
    print(f"kept the card in {place.path / 'run.json'} and {place.path / 'CARD.md'}", file=sys.stderr)


def _print(card: Mapping[str, Any]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    protocol = card["protocol"]
    console.print(
        f"{card['task']}: {' / '.join(card['labels'])}. {card['people']} people, {card['windows']} windows, "
        f"one every {protocol['hop_s']:g} s; most frequent class {card['majority_rate']['value']:.1%}; "
        f"{protocol['normalisation']} normalisation."
    )
    console.print(f"In brackets: {protocol['interval']} ({protocol['draws']} draws).")
    for (split, calibration), rows in groupby(
        card["results"], lambda one: (one["split"], one["calibration"])
    ):
        results = list(rows)
        console.print(f"\n{split}; personal baseline: {calibration}; {results[0]['people']} people")
        table = Table(box=None, pad_edge=False)
        for heading in ("", *COLUMNS.values()):
            table.add_column(heading)
        for one in results:
            table.add_row(one["system"], *[cell(one["metrics"][metric]) for metric in COLUMNS])
        console.print(table)
        if split != protocol["split"]:
            continue
        console.print(f"AUC of encoder minus heart rate: {_auc_difference(card, calibration)}")
        for one in results:
            spread = one["per_person"]["auc"]
            if "median" in spread:
                console.print(
                    f"AUC person by person, {one['system']}: {spread['min']:.2f} to {spread['max']:.2f}, "
                    f"median {spread['median']:.2f}"
                )
    console.print()
    for line in warnings_of(card):
        console.print(f"Note: {line}")


def _auc_difference(card: Mapping[str, Any], calibration: str) -> str:
    return cell(card["encoder_minus_heart_rate"][calibration]["auc"], signed=True)
