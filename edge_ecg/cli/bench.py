"""``edge-ecg bench``: whether the model is right on this machine, how fast it is, what it weighs."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from ..bench import Agreement, Machine, check_engine, interleaved, measure_startup, this_machine
from ..bench.agreement import MIN_COSINE
from ..bundle import Bundle, Golden
from ..engines import AUTO
from ..errors import EXIT_DONE, GateError, UsageError
from ..model import Model, load_heads, open_model
from .progress import Progress
from .streaming import add_engine
from .verify import open_bundle


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("--model", metavar="BUNDLE", help="an .ecgb file; left out: the one that comes along")
    add_engine(parser)
    parser.add_argument(
        "--windows", type=_count, default=200, metavar="N", help="timed windows (default: 200)"
    )
    parser.add_argument("--warm-up", type=_count, default=20, metavar="N", help="untimed windows before (20)")


def run(args: argparse.Namespace) -> int:
    """Check, measure, print, and return the exit code."""
    bundle = open_bundle(args.model)
    golden = Golden.from_bundle(bundle)
    models, absent = _open_all(bundle, args.engine)
    agreements = {name: check_engine(model, golden) for name, model in models.items()}
    _refuse_wrong(bundle, agreements)
    encoders = {name: model.encoder for name, model in models.items()}
    with Progress(args.windows + args.warm_up, "windows") as progress:
        latencies = interleaved(
            encoders, golden.windows, rounds=args.windows, warm_up=args.warm_up, after_round=progress.advance
        )
    rows = []
    for name, model in models.items():
        startup = measure_startup(args.model, name)
        rows.append(
            {
                "engine": name,
                "package": model.encoder.version,
                **asdict(latencies[name]),
                **asdict(startup),
                **{f"golden_{key}": value for key, value in asdict(agreements[name]).items()},
            }
        )
    machine = this_machine()
    if args.json:
        for row in rows:
            print(
                json.dumps({"type": "bench", "model": bundle.name_at_sha, **row, "machine": asdict(machine)})
            )
    else:
        print(_table(bundle, machine, rows, absent))
    return EXIT_DONE


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _open_all(bundle: Bundle, engine: str) -> tuple[dict[str, Model], dict[str, str]]:
    """Open every engine of the bundle that can run here (or the one asked for); and why not the others."""
    names = list(bundle.manifest.engines) if engine == AUTO else [engine]
    heads = load_heads(bundle)
    models: dict[str, Model] = {}
    absent: dict[str, str] = {}
    for name in names:
        try:
            model = open_model(bundle, name, heads)
            models[model.engine] = model
        except UsageError as error:
            absent[name] = error.remedy
    if not models:
        raise UsageError(
            "No engine of this bundle can run here.", remedy=" or ".join(dict.fromkeys(absent.values()))
        )
    return models, absent


def _refuse_wrong(bundle: Bundle, agreements: dict[str, Agreement]) -> None:
    for name, agreement in agreements.items():
        if not agreement.passed:
            raise GateError(
                f"{bundle.name_at_sha} does not compute the right thing in the engine {name!r} here; "
                "its speed is not worth measuring.",
                why=f"Lowest cosine with the golden embeddings {agreement.min_cosine:.5f}, at least "
                f"{MIN_COSINE} is asked; decisions {'equal' if agreement.decisions_equal else 'differ'}.",
                remedy="Check the bundle with `edge-ecg verify`, and the versions of the runtime with "
                "`edge-ecg doctor`; measure another one with --engine.",
            )


def _table(bundle: Bundle, machine: Machine, rows: list[dict[str, Any]], absent: dict[str, str]) -> str:
    lines = [
        f"{bundle.name_at_sha}, 1 thread, engines take turns window by window",
        f"{machine.model}, {machine.cores} cores, {machine.architecture}, {machine.system}, "
        f"Python {machine.python}, edge-ecg {machine.edge_ecg}",
        "",
        f"{'engine':12} {'p50':>8} {'p90':>8} {'p99':>8} {'max':>8} {'cold start':>11} {'memory':>8}  golden",
    ]
    for row in rows:
        rss = "--" if row["rss_mb"] is None else f"{row['rss_mb']:.0f} MB"
        lines.append(
            f"{row['engine']:12} {row['p50_ms']:5.2f} ms {row['p90_ms']:5.2f} ms {row['p99_ms']:5.2f} ms "
            f"{row['max_ms']:5.2f} ms {row['first_decision_s']:9.2f} s {rss:>8}  {_golden(row)}"
        )
    packages = dict.fromkeys(row["package"] for row in rows)
    lines += ["", f"golden: {rows[0]['golden_windows']} windows of the bundle; {', '.join(packages)}"]
    lines += [f"{name:12} not installed here: {remedy}" for name, remedy in absent.items()]
    return "\n".join(lines)


def _golden(row: dict[str, Any]) -> str:
    if row["golden_equal"] == 1.0:
        return "equal"
    return f"within {row['golden_max_abs']:.1g}"
