"""What run, record and replay share: their options, and one session from opening to exit code."""

from __future__ import annotations

import argparse
import math
import sys
from contextlib import ExitStack
from pathlib import Path

from ..errors import EXIT_DONE, EXIT_INTERRUPTED, EdgeEcgError
from ..model import Model, load_model
from ..profile import Profile, load_profile
from ..recorder import Recorder
from ..session import Session
from ..sinks import JsonLines, Sink
from ..sources import Address, open_source
from .verify import add_untrusted, say_untrusted


def seconds(text: str) -> float:
    """Parse a positive number of seconds for argparse."""
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError
    return value


def seconds_or_none(text: str) -> float:
    """Parse a number of seconds that may be 0 for argparse."""
    return 0.0 if float(text) == 0 else seconds(text)


def add_source_options(
    parser: argparse.ArgumentParser, *, duration: str = "stop after so much device time"
) -> None:
    """Add what says where samples come from and for how long."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--port",
        metavar="ADDRESS",
        help="a port such as /dev/ttyUSB0, or file:PATH, sim:, socket://HOST:PORT; "
        "left out: the one device that is plugged in",
    )
    where.add_argument("--demo", action="store_true", help="a simulated Shimmer3; needs no device")
    parser.add_argument("--device", metavar="KIND", help="shimmer3, text, ...; left out: found out")
    add_duration(parser, duration)


def add_duration(parser: argparse.ArgumentParser, help_text: str = "stop after so much device time") -> None:
    """Add ``--duration``."""
    parser.add_argument("--duration", type=seconds, metavar="SECONDS", help=help_text)


def add_record_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--record``."""
    parser.add_argument("--record", type=Path, metavar="PATH", help="keep the samples in a new file (CSV)")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add what says which model decides, for whom, and how often."""
    add_model(parser)
    parser.add_argument(
        "--profile", type=Path, metavar="PATH", help="a personal baseline, as `edge-ecg enrol` makes one"
    )
    parser.add_argument(
        "--hop", type=seconds, default=1.0, metavar="SECONDS", help="time between decisions (default: 1)"
    )
    parser.add_argument(
        "--context",
        type=seconds_or_none,
        metavar="SECONDS",
        help="average decisions over the last so many seconds; 0: each window alone; "
        "left out: what the model says",
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add which model, in which engine, behind which filters."""
    parser.add_argument("--model", metavar="BUNDLE", help="an .ecgb file; left out: the one that comes along")
    add_untrusted(parser)
    add_engine(parser)
    parser.add_argument("--notch", type=int, choices=(50, 60), help="remove mains hum of so many Hz")


def chosen_model(args: argparse.Namespace) -> Model:
    """Load the model that ``--model``, ``--untrusted`` and ``--engine`` ask for."""
    if args.model is not None and args.untrusted:
        say_untrusted(args.model)
    return load_model(args.model, args.engine, untrusted=args.untrusted)


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add ``--engine``."""
    parser.add_argument(
        "--engine",
        default="auto",
        help="auto (default), litert, onnx, or in full: litert-int8, onnx-int8, litert-fp32, onnx-fp32",
    )


def stream(
    args: argparse.Namespace,
    address: str | Address,
    model: Model | None,
    *,
    record_to: Path | None = None,
    duration_s: float | None = None,
) -> int:
    """Run one session on ``address`` and return its exit code.

    Raises
    ------
    EdgeEcgError
        What stopped the session, after the end record has been written and the recording closed.

    """
    profile = _profile(args, model)
    with ExitStack() as stack:
        recorder = None if record_to is None else stack.enter_context(Recorder(record_to))
        source = stack.enter_context(open_source(address, device=getattr(args, "device", None)))
        session = Session(
            source,
            model,
            hop_s=getattr(args, "hop", 1.0),
            notch_hz=getattr(args, "notch", None),
            profile=profile,
            context_s=getattr(args, "context", None),
            duration_s=duration_s,
            recorder=recorder,
        )
        if recorder is not None:
            recorder.begin(source.info)
        sink = _sink(args, session)
        stack.callback(sink.close)
        failure: EdgeEcgError | None = None
        code, reason = EXIT_DONE, None
        try:
            for record in session:
                sink.write(record)
        except KeyboardInterrupt:
            code, reason = EXIT_INTERRUPTED, "interrupted"
        except EdgeEcgError as error:
            failure = error
        sink.write(session.end(reason))
    if recorder is not None:
        print(f"{recorder.samples} samples recorded in {recorder.path}", file=sys.stderr)
    if failure is not None:
        raise failure
    return code


def _profile(args: argparse.Namespace, model: Model | None) -> Profile | None:
    """Read the profile, and refuse it before anything is opened when it does not fit."""
    path = getattr(args, "profile", None)
    if path is None or model is None:
        return None
    profile = load_profile(path)
    profile.require_fit(model, getattr(args, "notch", None) or model.manifest.input.preprocessing.notch_hz)
    return profile


def _sink(args: argparse.Namespace, session: Session) -> Sink:
    if args.json:
        return JsonLines(sys.stdout)
    if sys.stdout.isatty():
        from ..sinks.terminal import TerminalPanel

        return TerminalPanel(lambda: session.device_s)
    from ..sinks.lines import PlainLines

    return PlainLines(sys.stdout)
