"""``edge-ecg view``: a recording or a live source as a strip, on the terminal or as a picture."""

from __future__ import annotations

import argparse
import json
import os
import queue
import shutil
import signal
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import EXIT_DONE, EXIT_INTERRUPTED, DataError, UsageError
from ..naming import nameless
from ..session import Session
from ..sources import Address, Source, open_source, parse_address
from ..strip import Stretch, Trace
from ..strip.paper import GAINS_MM_MV, SPEEDS_MM_S, Paper
from ..strip.terminal import draw, gain_for, seconds_across, status
from ..strip.watcher import Watcher
from . import DISCLAIMER
from .choose import choose_address
from .numbers import seconds_or_none
from .person import begin_recording, recorded_person
from .streaming import add_model, add_record_option, add_source_options, chosen_model

# What a recording is read of, unless --duration says otherwise: some seconds' work and some megabytes.
_LEAF_S, _PICTURE_S = 600.0, 60.0
# How far back one can go in a live strip.
_KEEP_S = 120.0
_STILL_ROWS = 22


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("recording", nargs="?", metavar="FILE", help="a recording, or file:PATH?channel=NAME")
    add_source_options(parser, duration="show so much device time and no more")
    parser.add_argument("--start", type=seconds_or_none, metavar="SECONDS", help="where in FILE to begin")
    parser.add_argument("--svg", type=Path, metavar="OUT", help="write a picture of ECG paper in true size")
    parser.add_argument(
        "--speed", type=float, choices=SPEEDS_MM_S, default=25.0, help="millimetres a second (default: 25)"
    )
    parser.add_argument(
        "--gain", type=float, choices=GAINS_MM_MV, help="millimetres a millivolt; left out: what fits"
    )
    parser.add_argument("--decide", action="store_true", help="show decisions, too; --model includes this")
    parser.add_argument(
        "--web",
        nargs="?",
        type=int,
        const=0,
        metavar="PORT",
        help="show it in a browser on this machine instead (127.0.0.1; without PORT: one that is free)",
    )
    add_model(parser)
    add_record_option(parser)
    parser.epilog = f"Example: edge-ecg view rest.edf --svg rest.svg\n{DISCLAIMER}"


def run(args: argparse.Namespace) -> int:
    """Show it and return the exit code."""
    if args.recording is not None and (args.port is not None or args.demo or args.record is not None):
        raise UsageError(
            "A FILE is shown by itself.", remedy="Leave out --port, --demo and --record, or FILE."
        )
    if args.recording is None and args.start is not None:
        raise UsageError("--start is for a FILE.", remedy="edge-ecg view FILE --start SECONDS")
    if args.svg is not None and args.svg.exists():
        raise DataError(f"{args.svg} exists already.", remedy="Give --svg another name.")
    if args.web is not None:
        if args.svg is not None:
            raise UsageError("--web and --svg are two ways to show it.", remedy="Leave one of them out.")
        return _web(args)
    if args.svg is not None or args.json or not sys.stdout.isatty():
        return _still(args)
    return _leaf(args) if args.recording is not None else _live(args)


def _address(args: argparse.Namespace) -> str | Address:
    if args.recording is None:
        return choose_address(args)
    text = str(args.recording)
    address = parse_address(text) if text.startswith("file:") else Address("file", text, {}, f"file:{text}")
    start = {} if args.start is None else {"start": f"{args.start:g}"}
    # In a browser a recording passes by as it was live; else it is there at once.
    speed = {} if args.web is not None else {"speed": "max"}
    return replace(address, options={**address.options, **start, **speed})


def _opened(
    args: argparse.Namespace, stack: ExitStack, *, duration_s: float | None, keep_s: float | None
) -> tuple[Session, Watcher, Source]:
    model = chosen_model(args) if args.decide or args.model is not None else None
    recorder = None
    if args.record is not None:
        recorder = begin_recording(stack, args.record, recorded_person(args))
    source = stack.enter_context(open_source(_address(args), device=args.device))
    if recorder is not None:
        recorder.begin(source.info)
    trace = Trace(source.info.fs_hz, notch_hz=args.notch, keep_s=keep_s)
    watcher = Watcher(trace, notch_hz=args.notch, recorder=recorder, begins_s=args.start or 0.0)
    session = Session(source, model, notch_hz=args.notch, duration_s=duration_s, recorder=watcher)
    return session, watcher, source


def _title(source: Source) -> str:
    """What is shown, without a file's name: a picture travels, and so may a screen."""
    return f"{source.info.device}, {source.info.fs_hz:g} Hz"


def _live(args: argparse.Namespace) -> int:
    from ..strip.keys import keys
    from ..strip.screen import StripScreen

    left = False

    def leave() -> None:
        nonlocal left
        left = True
        # As Ctrl-C does it, wherever the source is waiting.
        os.kill(os.getpid(), signal.SIGINT)

    with ExitStack() as stack:
        session, watcher, source = _opened(args, stack, duration_s=args.duration, keep_s=_KEEP_S)
        paper = Paper(args.speed, args.gain or 10.0)
        screen = StripScreen(
            watcher, _title(source), paper, fitted=args.gain is None, follows=True, leave=leave
        )
        try:
            with screen, keys(screen.pressed):
                for record in session:
                    watcher.record(record)
        except KeyboardInterrupt:
            if not left:
                return EXIT_INTERRUPTED
    return EXIT_DONE


def _web(args: argparse.Namespace) -> int:
    """A strip in a browser, until the source ends or the person does."""
    from ..strip.web import StripServer

    with ExitStack() as stack:
        session, watcher, source = _opened(args, stack, duration_s=args.duration, keep_s=_KEEP_S)
        server = StripServer(watcher, _title(source), args.web)
        stack.callback(server.close)
        if args.json:
            print(json.dumps({"type": "web", "url": server.address}), flush=True)
        else:
            print(f"Open {server.address}", flush=True)
            there = f"ssh -L {server.port}:127.0.0.1:{server.port} THIS-MACHINE, then the same address"
            print(f"From another machine: {there}. Ctrl-C ends.", file=sys.stderr)
        try:
            for record in session:
                watcher.record(record)
            watcher.record(session.end())
            server.finish()
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED
    return EXIT_DONE


def _leaf(args: argparse.Namespace) -> int:
    """A recording, read as far as it is to be shown, then moved through by keys."""
    from ..strip.keys import keys
    from ..strip.screen import StripScreen

    limit_s = args.duration or _LEAF_S
    with ExitStack() as stack:
        session, watcher, source = _opened(args, stack, duration_s=limit_s, keep_s=None)
        for record in session:
            watcher.record(record)
        watcher.record(session.end())
    _require_signal(watcher)
    title = _title(source)
    if session.reason == "duration":
        title += f", the first {limit_s:g} s (--start, --duration)"
    wanted: queue.SimpleQueue[str] = queue.SimpleQueue()
    screen = StripScreen(
        watcher, title, Paper(args.speed, args.gain or 10.0), fitted=args.gain is None, follows=False,
        leave=lambda: wanted.put("quit"),
    )  # fmt: skip
    with screen, keys(screen.pressed):
        wanted.get()
    return EXIT_DONE


def _still(args: argparse.Namespace) -> int:
    """One strip for who cannot see a screen: text, a picture, or what is in it as JSON."""
    width = max(shutil.get_terminal_size((80, 24)).columns, 40)
    paper = Paper(args.speed, args.gain or 10.0)
    across_s = _PICTURE_S if args.svg is not None else seconds_across(width, paper)
    with ExitStack() as stack:
        session, watcher, source = _opened(args, stack, duration_s=args.duration or across_s, keep_s=None)
        for record in session:
            watcher.record(record)
    _require_signal(watcher)
    stretch = watcher.stretch(watcher.start_s, watcher.end_s)
    if args.svg is not None:
        _write_picture(args, stretch, source, paper)
    judged = watcher.judged(watcher.end_s)
    rate_bpm = stretch.heart_rate_bpm if judged is None else judged.heart_rate_bpm
    if args.json:
        print(json.dumps(_summary(stretch, source, rate_bpm, args.svg)))
    elif args.svg is None:
        _print_strips(args, watcher, source, paper, width, rate_bpm)
    return EXIT_DONE


def _print_strips(
    args: argparse.Namespace,
    watcher: Watcher,
    source: Source,
    paper: Paper,
    width: int,
    rate_bpm: float | None,
) -> None:
    """One strip below the other, as many as the duration takes."""
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    span_s = seconds_across(width, paper)
    if args.gain is None:
        whole = watcher.stretch(watcher.start_s, watcher.end_s)
        paper = replace(paper, mm_per_mv=gain_for(whole, _STILL_ROWS))
    print(f"{_title(source)}  {paper}")
    for number in range(max(1, int(np.ceil((watcher.end_s - watcher.start_s) / span_s - 1e-6)))):
        from_s = watcher.start_s + number * span_s
        for line in draw(watcher.stretch(from_s, from_s + span_s), width, _STILL_ROWS, paper, plain=plain):
            print(line.plain.rstrip())
    judged = watcher.judged(watcher.end_s)
    print(
        status(rate_bpm, None if judged is None else judged.quality, () if judged is None else judged.reasons)
    )


def _write_picture(args: argparse.Namespace, stretch: Stretch, source: Source, paper: Paper) -> None:
    from ..private_files import write_private
    from ..strip.svg import picture

    note = (
        f"{paper}  high-passed at 0.8 Hz{f', {args.notch} Hz removed' if args.notch else ''}.  {DISCLAIMER}"
    )
    try:
        write_private(args.svg, picture(stretch, paper, _title(source), note).encode())
    except OSError as error:
        raise DataError(
            f"{args.svg} cannot be written.",
            why=f"{error.strerror or error}.",
            remedy="Give --svg a path in a folder that you may write to, on a disk with room.",
        ) from error
    print(f"{stretch.to_s - stretch.from_s:.1f} s in {args.svg}", file=sys.stderr)


def _require_signal(watcher: Watcher) -> None:
    if watcher.end_s <= watcher.start_s:
        raise DataError(
            "There is no signal to show.", remedy="Give a smaller --start or a longer --duration."
        )


def _summary(stretch: Stretch, source: Source, rate_bpm: float | None, svg: Path | None) -> dict[str, object]:
    return {
        "type": "strip",
        "source": nameless(source.info.address),
        "device": source.info.device,
        "fs_hz": source.info.fs_hz,
        "start_s": round(stretch.from_s, 3),
        "end_s": round(stretch.to_s, 3),
        "heart_rate_bpm": None if rate_bpm is None else round(rate_bpm, 1),
        "beats_s": np.round(stretch.beats_s, 3).tolist(),
        "lead_off_s": round(
            sum(float(piece.lead_off.sum()) for piece in stretch.pieces) / source.info.fs_hz, 3
        ),
        "holes": [
            {"from_s": round(one.from_s, 3), "to_s": round(one.to_s, 3), "lost_samples": one.lost_samples}
            for one in stretch.holes
        ],
        "marks": [{"at_s": round(mark.at_s, 3), "text": mark.label} for mark in stretch.marks],
        "svg": None if svg is None else str(svg),
    }
