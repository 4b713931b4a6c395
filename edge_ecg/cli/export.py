"""``edge-ecg export``: a trained run to a bundle, through the gate; or to C for a microcontroller."""

from __future__ import annotations

import argparse
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from edge_ecg_export.build import MIN_CONFIDENCE, Exported, ExportSettings, export_run, split_rows
from edge_ecg_export.micro import MicroExport, export_micro, write_files
from edge_ecg_train.run_dir import RunDir
from edge_ecg_train.store import WindowStore

from .._version import __version__
from ..bundle import Bundle, TrustedKeys, read_bundle, save_bundle
from ..bundle.fields import FieldError, is_model_name, version_tuple
from ..errors import EXIT_DONE, DataError, UsageError
from .progress import Progress


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("run", type=Path, nargs="?", metavar="RUN", help="the folder of a trained run")
    parser.add_argument(
        "store",
        type=Path,
        nargs="?",
        metavar="STORE",
        help="windows to calibrate and check with (default: the store that the heads were trained on)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="NAME.ecgb; for micro a folder"
    )
    parser.add_argument(
        "--target",
        choices=("bundle", "micro"),
        default="bundle",
        help="a bundle (default), or C sources for a microcontroller",
    )
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="BUNDLE",
        help="with --target micro: of this bundle, not a run",
    )
    parser.add_argument("--name", help="of the model (default: the output's name)")
    parser.add_argument("--model-version", default=__version__, help="of the model (default: edge-ecg's)")
    parser.add_argument("--lean", action="store_true", help="leave the float encoders out")
    parser.add_argument(
        "--calibration-windows", type=int, default=384, metavar="N", help="at most (default %(default)s)"
    )
    parser.add_argument(
        "--min-confidence",
        type=float,
        default=MIN_CONFIDENCE,
        metavar="P",
        help="below this probability a decision is withheld (default %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Export, print what the gate saw, write the bundle or the sources."""
    if (args.run is None) == (args.source is None) or (args.source and args.target != "micro"):
        raise UsageError(
            "It is not clear what to export.",
            remedy="edge-ecg export RUN -o FILE, or edge-ecg export --target micro --from BUNDLE -o FOLDER",
        )
    if args.source is not None:
        return _micro(args, read_bundle(args.source))
    if args.calibration_windows < 8:
        raise UsageError(
            f"{args.calibration_windows} windows are too few to calibrate with.", remedy="Take 8 or more."
        )
    if not 0 <= args.min_confidence <= 1:
        raise UsageError(f"A probability of {args.min_confidence:g} does not exist.", remedy="Give 0 to 1.")
    name = args.name or args.output.stem
    if not is_model_name(name):
        raise UsageError(
            f"A model cannot be called {name!r}.",
            why="Its name becomes part of file names on devices.",
            remedy="Give --name: up to 64 letters, digits, '_', '.' and '-', beginning with a letter.",
        )
    if args.target == "bundle" and args.output.is_dir():
        raise UsageError(f"{args.output} is a folder.", remedy="Give the bundle's file: -o NAME.ecgb")
    try:
        version_tuple(args.model_version)
    except FieldError as error:
        raise UsageError(
            f"{args.model_version!r} is no version of a model.",
            why="Devices compare versions, so that they refuse an older model.",
            remedy="Give three numbers: --model-version 1.2.0",
        ) from error
    place = RunDir(args.run)
    store = WindowStore.open(_store(place, args.store))
    settings = ExportSettings(
        name=name,
        version=args.model_version,
        created=datetime.now(UTC),
        lean=args.lean,
        calibration_windows=args.calibration_windows,
        min_confidence=args.min_confidence,
    )
    calibrating, _ = split_rows(store.subject, settings)
    calibrated = _Calibration(len(calibrating))
    try:
        exported = export_run(
            place,
            store,
            settings,
            on_window=calibrated.advance,
            say=lambda text: print(f"\n{text}", file=sys.stderr),
        )
    finally:
        calibrated.end()
    if args.target == "micro":
        # Not signed yet, and made right here: whom this machine trusts does not matter.
        return _micro(args, read_bundle(io.BytesIO(exported.data), trust=TrustedKeys()))
    save_bundle(args.output, exported.data)
    if args.json:
        print(json.dumps(_record(args.output, exported)))
    else:
        _print(args.output, exported)
    return EXIT_DONE


class _Calibration:
    """The progress of calibration, which ends before the gate begins; a Transformer's is not counted."""

    def __init__(self, windows: int) -> None:
        self._progress: Progress | None = Progress(windows, "windows calibrated", sys.stderr)

    def advance(self) -> None:
        assert self._progress is not None, "there are no more windows than were announced"
        self._progress.advance()
        if self._progress.done == self._progress.total:
            self.end()
            print("quantising, and comparing with PyTorch", file=sys.stderr)

    def end(self) -> None:
        if self._progress is not None and self._progress.done:
            self._progress.__exit__(None, None, None)
        self._progress = None


def _micro(args: argparse.Namespace, bundle: Bundle) -> int:
    made = export_micro(bundle, say=lambda text: print(text, file=sys.stderr))
    write_files(args.output, made.files)
    if args.json:
        print(json.dumps({**made.report, "folder": str(args.output)}))
    else:
        _print_micro(args.output, made)
    return EXIT_DONE


def _print_micro(folder: Path, made: MicroExport) -> None:
    found, report = made.distance, made.report
    macs, version = report["macs"] / 1e6, report["tflite_micro"]
    lines = [
        f"{report['model']}: {report['core_bytes']:,} bytes of constants, {made.arena_bytes:,} of arena,",
        f"  {macs:.0f} million multiplications a window; {', '.join(made.core.operators)}",
        f"{report['golden_windows']} golden windows in TFLite-Micro {version}: every int8 value equal",
        "  to LiteRT's reference kernels, every decision that of the bundle",
        "From LiteRT's XNNPACK kernels, which round once where these round twice:",
        f"  {found.differing:.0%} of the values differ, by up to {found.max_steps} of 256 steps;",
        f"  cosine at least {found.min_cosine:.4f}",
        f"{len(made.files)} files in {folder}; docs/microcontrollers.md says what to do with them",
    ]
    print("\n".join(lines))


def _store(place: RunDir, given: Path | None) -> Path:
    if given is not None:
        return given
    kept = place.read_json().get("store")
    if kept is None:
        raise DataError(
            f"{place.path} does not say which windows its heads were trained on.",
            remedy="Give the store: edge-ecg export RUN STORE -o FILE",
        )
    return Path(kept)


def _record(path: Path, exported: Exported) -> dict[str, Any]:
    return {
        "type": "export",
        "bundle": str(path),
        "bytes": len(exported.data),
        "float_convs": exported.float_convs,
        "gate": exported.report.to_json(),
    }


def _print(path: Path, exported: Exported) -> None:
    report = exported.report
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(
        f"The gate: {report.windows} windows of {report.people} people whom calibration did not see, "
        "against PyTorch."
    )
    table = Table(box=None, pad_edge=False)
    for heading in (
        "engine",
        "cosine, mean",
        "1st percentile",
        "signal to noise, dB",
        "flip",
        "come or go",
        "macro-F1 lost",
        "AUC lost",
    ):
        table.add_column(heading)
    for one in report.engines:
        flips, changes = (
            ", ".join(f"{task} {share:.2%}" for task, share in shares.items())
            for shares in (one.flips, one.changes)
        )
        losses, areas = (
            ", ".join(f"{task} {100 * loss:.2f}" for task, loss in lost.items())
            for lost in (one.macro_f1_loss, one.auc_loss)
        )
        table.add_row(
            one.engine,
            f"{one.cosine_mean:.6f}",
            f"{one.cosine_p1:.5f}",
            f"{one.snr_db:.1f}",
            flips,
            changes,
            losses or "no labels",
            areas or "no labels",
        )
    console.print(table)
    layers = Table(box=None, pad_edge=False)
    for heading in ("int8 layer", "signal to noise, dB", "of its own rounding alone, dB"):
        layers.add_column(heading)
    for layer in report.layers:
        layers.add_row(layer.name, f"{layer.snr_db:.1f}", f"{layer.own_snr_db:.1f}")
    if report.layers:
        console.print(layers)
    forced = max(share for one in report.engines for share in one.forced_flips.values())
    console.print(
        f"Below a confidence of {exported.min_confidence:g} a decision is withheld; were it not, up to "
        f"{forced:.2%} would flip."
    )
    if exported.float_convs:
        console.print(
            f"The first {exported.float_convs} convolutions compute on integers in float32: with all layers "
            "in 8 bits it did not pass."
        )
    console.print(f"{path}: {len(exported.data):,} bytes. Next: edge-ecg bench --model {path}")
