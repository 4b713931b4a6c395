"""``edge-ecg bench``: whether the model is right on a machine, how fast it is, what it weighs."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..bench.compare import compare, comparison_page
from ..bench.measure import Plan, measure
from ..bench.remote import CURRENT, FarBench
from ..bench.report import Report, read_report, save_report
from ..bench.table import page
from ..deploy.layout import BUNDLE_NAME, Home
from ..deploy.remote.ssh import Remote
from ..errors import EXIT_DONE, UsageError
from .numbers import seconds, seconds_or_none, whole
from .progress import Progress
from .remote_args import add_ssh, ssh_options
from .streaming import add_engine
from .verify import add_untrusted, open_bundle

_PLAN = Plan()


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "--model",
        metavar="BUNDLE",
        help="an .ecgb file; `current`: the one that the device runs; left out: the one that comes along, "
        "with --on the one that runs there",
    )
    add_untrusted(parser)
    add_engine(parser)
    parser.add_argument(
        "--on", metavar="HOST", help="measure there, over ssh, with the edge-ecg installed there"
    )
    parser.add_argument(
        "--compare",
        nargs="*",
        type=Path,
        metavar="REPORT",
        help="side by side: this machine and --on HOST, or saved reports",
    )
    parser.add_argument(
        "--save",
        type=Path,
        metavar="FILE",
        help="keep the report (JSON), with every timed window; with --compare the second one",
    )
    parser.add_argument(
        "--windows",
        type=whole(1),
        metavar="N",
        help=f"timed windows (default: {_PLAN.windows}, or what --seconds gives)",
    )
    parser.add_argument(
        "--seconds",
        type=seconds,
        default=_PLAN.budget_s,
        metavar="S",
        help="a slow machine stops timing windows after so long, without --windows (default: %(default)g)",
    )
    parser.add_argument(
        "--warm-up",
        type=whole(1),
        default=_PLAN.warm_up,
        metavar="N",
        help="untimed windows before (%(default)s)",
    )
    parser.add_argument(
        "--hops",
        type=whole(1),
        default=_PLAN.hops,
        metavar="N",
        help="decisions measured all in (%(default)s)",
    )
    parser.add_argument(
        "--duty",
        type=seconds_or_none,
        nargs="?",
        const=60.0,
        default=0.0,
        metavar="S",
        help="also in real time, one decision a second, so long an engine (60)",
    )
    parser.add_argument(
        "--starts",
        type=whole(1),
        default=_PLAN.starts,
        metavar="N",
        help="fresh processes an engine (%(default)s)",
    )
    parser.add_argument("--raw", action="store_true", help="with --json: every timed window too")
    add_ssh(parser)
    parser.epilog = "What each figure means, and how to measure honestly: docs/bench.md."


def run(args: argparse.Namespace) -> int:
    """Check, measure, print, and return the exit code."""
    saved = [read_report(path) for path in args.compare or ()]
    if args.compare is None:
        found = _kept(args, _there(args) if args.on is not None else _here(args, args.model))
        _print(args, found, page(found))
        return EXIT_DONE
    far = args.on is not None
    if len(saved) > 2 or (len(saved) == 2 and far) or not (saved or far):
        raise UsageError(
            "Two sides are compared.",
            why=f"Given were {len(saved)} saved reports{' and a host' if far else ''}.",
            remedy="edge-ecg bench --on HOST --compare, or edge-ecg bench --compare A.json B.json",
        )
    first, second = _both(args, saved)
    both = compare(first, second)
    _print(args, both, comparison_page(both))
    return EXIT_DONE


def _both(args: argparse.Namespace, saved: list[Report]) -> tuple[Report, Report]:
    if len(saved) == 2:
        return saved[0], saved[1]
    if args.on is None:
        return saved[0], _kept(args, _here(args, args.model))
    if saved:
        return saved[0], _kept(args, _there(args))
    here, there = _here_and_there(args)
    return _bare(args, here), _kept(args, there)


def _print(args: argparse.Namespace, found: dict[str, Any], text: str) -> None:
    print(json.dumps(found, allow_nan=False) if args.json else text)


def _here(args: argparse.Namespace, model: str | None) -> Report:
    plan = Plan(
        engine=args.engine,
        windows=args.windows or _PLAN.windows,
        warm_up=args.warm_up,
        budget_s=None if args.windows else args.seconds,
        hops=args.hops,
        duty_s=args.duty,
        starts=args.starts,
        raw=args.raw or args.save is not None,
        untrusted=args.untrusted,
    )
    path = str(Home.default().current / BUNDLE_NAME) if model == CURRENT else model
    return measure(open_bundle(path, untrusted=args.untrusted), path, plan, step=_step)


def _there(args: argparse.Namespace) -> Report:
    with Remote(args.on, ssh_options(args)) as remote:
        return FarBench(remote, _say).run(args.model, _arguments(args))


def _here_and_there(args: argparse.Namespace) -> tuple[Report, Report]:
    """Measure one bundle on both machines, one after the other."""
    with Remote(args.on, ssh_options(args)) as remote, TemporaryDirectory() as folder:
        far = FarBench(remote, _say)
        model = args.model
        there = far.current(required=model == CURRENT) if model in (None, CURRENT) else None
        if there is not None:
            model = str(Path(folder) / "current.ecgb")
            remote.get(there, Path(model))
        _say("here:")
        here = _here(args, model)
        _say(f"on {args.on}:")
        return here, far.run(model if there is None else CURRENT, _arguments(args))


def _arguments(args: argparse.Namespace) -> list[str]:
    words = ["--engine", args.engine, "--warm-up", str(args.warm_up), "--hops", str(args.hops)]
    words += ["--starts", str(args.starts)]
    words += ["--windows", str(args.windows)] if args.windows else ["--seconds", f"{args.seconds:g}"]
    words += ["--duty", f"{args.duty:g}"] if args.duty else []
    words += ["--raw"] if args.raw or args.save is not None else []
    return words


def _kept(args: argparse.Namespace, report: Report) -> Report:
    """Save a report where that was asked for."""
    if args.save is not None:
        save_report(report, args.save)
        _say(f"saved in {args.save}")
    return _bare(args, report)


def _bare(args: argparse.Namespace, report: Report) -> Report:
    """Take single windows out of what is printed, unless they were asked for."""
    for row in [] if args.raw else report["engines"]:
        row.pop("samples_ms", None)
    return report


def _step(unit: str, count: int) -> AbstractContextManager[Progress]:
    return Progress(count, unit, sys.stderr)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
