"""``edge-ecg data``: what data sets there are, whether a folder is whole, and recordings to windows."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from edge_ecg_train.datasets import DATASETS, Dataset, Recording, Report, get_dataset
from edge_ecg_train.datasets.labeller import LABELS
from edge_ecg_train.prepare import DEFAULT_HOP_S, NORMALISATIONS, Preparation, prepare

from ..errors import EXIT_DONE, DataError
from . import printable
from .progress import Progress

# How many missing files are named one a line.
_LISTED = 12


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-verbs and their arguments."""
    verbs = parser.add_subparsers(dest="data_verb", metavar="prepare|check|list", required=True)
    known = ", ".join(DATASETS)

    sub = verbs.add_parser("prepare", help="recordings to windows, through the live signal chain")
    sub.add_argument("names", nargs="+", metavar="NAME", help=f"one or more of {known}")
    sub.add_argument(
        "--root",
        type=Path,
        required=True,
        metavar="DIR",
        help="the data set's folder, or the folder that holds it",
    )
    sub.add_argument(
        "-o", "--output", type=Path, required=True, metavar="STORE", help="the store to write (a folder)"
    )
    sub.add_argument(
        "--hop",
        type=float,
        default=DEFAULT_HOP_S,
        metavar="SECONDS",
        help="whole seconds from window to window (default %(default)s: no overlap)",
    )
    sub.add_argument(
        "--normalisation",
        choices=NORMALISATIONS,
        default=NORMALISATIONS[0],
        help="calibrated: causal, as live (default); recording: one scale a recording, as in the papers",
    )
    sub.add_argument(
        "--notch", type=float, choices=(50.0, 60.0), metavar="HZ", help="remove mains hum: 50 or 60"
    )
    sub.add_argument(
        "--labels",
        choices=LABELS,
        default=LABELS[0],
        help="whole: only windows that lie within one annotated stretch are labelled (default); "
        "max: the largest value in a window decides, as in the released code of Sarkar and Etemad",
    )
    _add_channel(sub)
    sub.add_argument("--keep-bad", action="store_true", help="keep windows that fail the quality check, too")
    sub.add_argument(
        "--keep-names",
        action="store_true",
        help="generic: call people and sessions as labels.csv does, instead of by numbers",
    )
    sub.add_argument("--overwrite", action="store_true", help="replace a store that is already there")

    sub = verbs.add_parser("check", help="is this folder the data set, and is it whole?")
    sub.add_argument("names", nargs="+", metavar="NAME", help=f"one or more of {known}")
    sub.add_argument("--root", type=Path, required=True, metavar="DIR", help="as for prepare")
    _add_channel(sub)

    verbs.add_parser("list", help="the data sets that edge-ecg can read")


def _add_channel(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--channel",
        metavar="NAME",
        help="name or number (from 0) of the ECG's channel, for sets that leave a choice: "
        "amigos, ascertain, dreamer, generic, swell",
    )


def run(args: argparse.Namespace) -> int:
    """Do the sub-verb and return the exit code."""
    if args.data_verb == "prepare":
        return _prepare(args)
    if args.data_verb == "check":
        return _check(args)
    return _list(args)


def _prepare(args: argparse.Namespace) -> int:
    preparation = Preparation(
        hop_s=args.hop,
        normalisation=args.normalisation,
        notch_hz=args.notch,
        keep_bad=args.keep_bad,
        labels=args.labels,
    )
    chosen = _chosen(args)
    sets = [(dataset.with_names() if args.keep_names else dataset, args.root) for dataset in chosen]
    seconds = sum(one.duration_s for dataset, root in sets for one in dataset.recordings(root))
    with Progress(round(seconds / 60.0), "minutes of ECG", sys.stderr) as progress:
        done_s = 0.0

        def advance(recording: Recording) -> None:
            nonlocal done_s
            done_s += recording.duration_s
            progress.advance(
                round(done_s / 60.0) - progress.done, note=f"{recording.subject} {recording.session}"
            )

        store = prepare(sets, args.output, preparation, overwrite=args.overwrite, on_recording=advance)
    if args.json:
        print(json.dumps({"type": "store", "path": str(args.output), **store.info}))
        return EXIT_DONE
    for entry in store.info["datasets"]:
        print(
            f"{entry['name']}: {entry['windows']} windows of {entry['subjects']} people "
            f"({entry['recordings']} recordings, {entry['licence']})"
        )
    for task, names in store.tasks.items():
        counts = np.bincount(store.label(task)[store.label(task) >= 0], minlength=len(names))
        parts = ", ".join(f"{name} {count}" for name, count in zip(names, counts.tolist(), strict=True))
        print(f"  {task}: {parts}")
    print(
        f"{args.output}: {len(store)} windows, preprocessing {store.preprocessing_hash[:12]}, "
        f"labels {store.labels_hash[:12]}"
    )
    return EXIT_DONE


def _chosen(args: argparse.Namespace) -> list[Dataset]:
    """The data sets that the command line names, each once."""
    chosen = [get_dataset(name) for name in dict.fromkeys(args.names)]
    return chosen if args.channel is None else [dataset.with_channel(args.channel) for dataset in chosen]


def _check(args: argparse.Namespace) -> int:
    whole = True
    for dataset in _chosen(args):
        # Whoever looks for a damaged file needs its name.
        report = dataset.with_names().check(args.root)
        whole = whole and report.complete
        if args.json:
            print(json.dumps(report.to_json()))
        else:
            _print_report(report, dataset)
    return EXIT_DONE if whole else DataError.exit_code


def _print_report(report: Report, dataset: Dataset) -> None:
    state = "whole" if report.complete else "NOT whole"
    print(f"{report.dataset}: {state}. {report.folder} ({report.form})")
    print(f"  {report.subjects} people, {report.recordings} recordings, {report.minutes:.1f} minutes")
    if report.unusable:
        print(f"  {report.unusable} recordings hold no ECG (electrode off); prepare leaves them out")
    for name in report.missing[:_LISTED]:
        print(f"  missing: {printable(name)}")
    if len(report.missing) > _LISTED:
        print(f"  missing: {len(report.missing) - _LISTED} more (all of them: --json)")
    for name, why in report.damaged.items():
        print(f"  damaged: {printable(name)}: {printable(why)}")
    if not report.complete and dataset.url:
        print(f"  Get these again from {dataset.url}")


def _list(args: argparse.Namespace) -> int:
    if args.json:
        for dataset in DATASETS.values():
            print(json.dumps(_description(dataset)))
        return EXIT_DONE
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "people", "hours", "labels", "licence", "what", "from"):
        table.add_column(heading, justify="right" if heading in ("people", "hours") else "left")
    for dataset in DATASETS.values():
        labels = "; ".join(f"{task}: {_classes(names)}" for task, names in dataset.tasks().items()) or "none"
        people, hours = str(dataset.people or "any"), f"{dataset.hours:.1f}" if dataset.hours else "any"
        table.add_row(dataset.name, people, hours, labels, dataset.licence, dataset.title, dataset.url)
    Console(width=None if sys.stdout.isatty() else 240).print(table)
    return EXIT_DONE


def _classes(names: tuple[str, ...]) -> str:
    """Classes for the table; levels by their ends only."""
    return " / ".join(names) if len(names) <= 4 else f"{names[0]} to {names[-1]}"


def _description(dataset: Dataset) -> dict[str, object]:
    return {
        "type": "dataset",
        "name": dataset.name,
        "title": dataset.title,
        "people": dataset.people,
        "hours": dataset.hours,
        "labels": {task: list(names) for task, names in dataset.tasks().items()},
        "caution": dataset.caution,
        "licence": dataset.licence,
        "citation": dataset.citation,
        "url": dataset.url,
    }
