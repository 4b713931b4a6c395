"""What run, record and replay share: their options, and one session from opening to exit code."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from ..errors import EXIT_DONE, EXIT_INTERRUPTED, EdgeEcgError
from ..model import Model, load_model
from ..naming import nameless
from ..profile import Profile, load_profile
from ..session import BlockSink, Session
from ..sinks import JsonLines, Sink
from ..sinks.lines import shown
from ..sinks.several import BlockSinks, Sinks
from ..sources import Address, Source, open_source
from ..sources.lsl_link import load_pylsl
from .numbers import seconds, seconds_or_none
from .person import add_person_option, begin_recording, profile_of, recorded_person
from .verify import add_untrusted, say_untrusted


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
    add_person_option(
        parser, "whose ECG it is, by a name or pseudonym: files hold the pseudonym; see `edge-ecg forget`"
    )


def add_lsl_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--lsl``."""
    parser.add_argument(
        "--lsl",
        type=_stream_name,
        metavar="NAME",
        help="offer the samples in the network as the LSL stream NAME, and the records as 'NAME records'",
    )


def _stream_name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("an LSL stream needs a name")
    return text


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
    where = None if model is None else _profile_path(args, record_to)
    profile = None if where is None or model is None else _profile(args, where, model)
    lsl_name = getattr(args, "lsl", None)
    if lsl_name:
        load_pylsl()  # what is missing is said before any device is opened
    with ExitStack() as stack:
        recorder = (
            None if record_to is None else begin_recording(stack, record_to, recorded_person(args, where))
        )
        source = stack.enter_context(open_source(address, device=getattr(args, "device", None)))
        takers: list[BlockSink] = [] if recorder is None else [recorder]
        records: list[Sink] = []
        if lsl_name:
            takers.append(_lsl_outlet(stack, source, lsl_name))
            records.append(_lsl_records(source, lsl_name))
        session = Session(
            source,
            model,
            hop_s=getattr(args, "hop", 1.0),
            notch_hz=getattr(args, "notch", None),
            profile=profile,
            context_s=getattr(args, "context", None),
            duration_s=duration_s,
            recorder=BlockSinks(*takers) if takers else None,
        )
        if recorder is not None:
            recorder.begin(source.info)
        sink: Sink = Sinks(_sink(args, session), *records)
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
        kept = f"{recorder.samples} samples recorded in {shown(recorder.path)}"
        if recorder.failed:
            kept = f"Not all of {recorder.samples} samples are in {shown(recorder.path)}"
        print(kept, file=sys.stderr)
    if failure is not None:
        raise failure
    return code


def _profile_path(args: argparse.Namespace, record_to: Path | None) -> Path | None:
    """The profile to decide with: ``--profile``, else that of ``--person``; None where there is none."""
    given: Path | None = getattr(args, "profile", None)
    who = getattr(args, "person", None)
    if given is not None or who is None:
        return given
    if record_to is not None:
        # Whoever is recorded for the first time has no baseline yet.
        recorded_person(args)
    found = profile_of(who)
    if found is None:
        print(f"{who} has no baseline here; deciding without one.", file=sys.stderr)
    return found


def _profile(args: argparse.Namespace, path: Path, model: Model) -> Profile:
    """Read the profile, and refuse it before anything is opened when it does not fit."""
    profile = load_profile(path)
    profile.require_fit(model, getattr(args, "notch", None) or model.manifest.input.preprocessing.notch_hz)
    return profile


def _lsl_outlet(stack: ExitStack, source: Source, name: str) -> BlockSink:
    from ..sinks.lsl_outlet import LslOutlet

    outlet = LslOutlet(source.info, name)
    stack.callback(outlet.close)
    return outlet


def _lsl_records(source: Source, name: str) -> Sink:
    from ..sinks.lsl_records import LslRecords

    return LslRecords(f"{name} records", nameless(source.info.address))


def _sink(args: argparse.Namespace, session: Session) -> Sink:
    if args.json:
        return JsonLines(sys.stdout)
    if sys.stdout.isatty():
        from ..sinks.terminal import TerminalPanel

        return TerminalPanel(lambda: session.device_s)
    from ..sinks.lines import PlainLines

    return PlainLines(sys.stdout)
