"""``edge-ecg enrol``: a personal baseline, taken, taken back, or refined by marked windows."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from ..enrolment import DEFAULT_S, Enrolment, check_duration
from ..errors import EXIT_DONE, DataError, UsageError
from ..home import home_folder
from ..model import Model
from ..people import PROFILE, real_place
from ..pipeline import utc_now
from ..profile import Profile, load_profile, require_place, save_profile, undo_profile
from ..refitting import MarkedWindows, RefitReport
from ..samples import SourceEvent
from ..session import MARKER
from ..sinks.enrolling import EnrolmentJson, EnrolmentLines, EnrolmentView
from ..sources import Address, open_source, parse_address
from . import DISCLAIMER
from .choose import DEMO_ADDRESS, choose_address
from .person import begin_recording, introduce, owner_of_profile, people_here, profile_of
from .streaming import add_model, add_record_option, add_source_options, chosen_model

# The demo of `run` tells of stress after 45 s; a baseline is of the same heart, at rest.
DEMO_AT_REST = f"{DEMO_ADDRESS}?story=rest"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_source_options(parser, duration=f"seconds at rest (default: {DEFAULT_S:g})")
    add_model(parser)
    parser.add_argument(
        "--profile",
        type=Path,
        metavar="PATH",
        help="where the profile is kept (default: in edge-ecg's folder, as profile.json or by --person)",
    )
    add_record_option(parser)
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--undo", action="store_true", help="take the last enrolment or refit back")
    other.add_argument(
        "--refit",
        action="store_true",
        help="fit the personal heads to the marked windows of a recording (--port file:PATH)",
    )
    parser.epilog = f"Example: edge-ecg enrol --port /dev/ttyUSB0\n{DISCLAIMER}"


def default_path(environment: Mapping[str, str]) -> Path:
    """The profile of a user who names neither one nor a person."""
    return home_folder(environment) / "profile.json"


def run(args: argparse.Namespace) -> int:
    """Do what was asked and return the exit code."""
    if args.undo or args.refit:
        path = args.profile or _kept_profile(args.person)
        return _undo(args, path) if args.undo else _refit(args, path)
    return _enrol(args)


def _kept_profile(who: str | None) -> Path:
    """The profile that is there already: that of ``--person``, else the default one."""
    if who is None:
        return default_path(os.environ)
    found = profile_of(who)
    if found is None:
        raise DataError(
            f"{who} has no profile here.", remedy=f"edge-ecg enrol --person {shlex.quote(who)} takes one."
        )
    return found


def _new_profile(args: argparse.Namespace) -> tuple[Path, str]:
    """Where the profile is going to be kept, and the pseudonym of its person.

    Without ``--person`` a profile that is replaced says who it is; a new one gets a new pseudonym.
    """
    people = people_here()
    if args.person is None:
        path = args.profile or default_path(os.environ)
        owner = owner_of_profile(path)
        # Either fails now, and not after two minutes at rest, when the index cannot be written.
        return path, people.draw() if owner is None else people.introduce(owner).pseudonym
    person = introduce(people, args.person)
    kept = args.profile or profile_of(person.pseudonym)
    return kept or people.home / "profiles" / f"{person.pseudonym}.json", person.pseudonym


def _enrol(args: argparse.Namespace) -> int:
    duration_s = DEFAULT_S if args.duration is None else args.duration
    check_duration(duration_s)
    model = chosen_model(args)
    require_place(args.profile or default_path(os.environ))
    if args.record is not None and args.record == args.profile:
        raise UsageError(
            f"{args.profile} cannot be both the profile and the recording.", remedy="Give them two names."
        )
    path, person = _new_profile(args)
    replaces = path.exists()
    with ExitStack() as stack:
        recorder = None
        if args.record is not None:
            recorder = begin_recording(stack, args.record, person)
        source = stack.enter_context(open_source(_address(args), device=args.device))
        if recorder is not None:
            recorder.begin(source.info)
        enrolment = Enrolment(model, source.info.fs_hz, duration_s=duration_s, notch_hz=args.notch)
        view = _view(args, enrolment, duration_s)
        stack.callback(view.close)
        for item in source:
            if isinstance(item, SourceEvent):
                if recorder is not None and item.event == MARKER:
                    recorder.mark(item.at_s, str(item.detail.get("text", "")))
                view.event(item)
                continue
            if recorder is not None:
                recorder.write(item)
            for window in enrolment.push(item):
                view.seen(window)
            if enrolment.done:
                break
        for window in enrolment.flush():
            view.seen(window)
    profile = enrolment.profile(utc_now(), person)
    save_profile(profile, path)
    people_here().add_file(person, path, PROFILE)
    _say_enrolled(args, path, profile, model, replaces=replaces)
    return EXIT_DONE


def _refit(args: argparse.Namespace, path: Path) -> int:
    if args.demo or args.port is None or args.record is not None or args.duration is not None:
        raise UsageError(
            "A refit takes a recording with marks, and nothing else.",
            remedy="edge-ecg enrol --refit --port file:RECORDING",
        )
    address = _address(args)
    if address.scheme != "file":
        # A live source has no end, and nothing is fitted before it.
        raise UsageError(
            f"{address.text} is not a recording; a refit takes one with marks.",
            remedy="edge-ecg record, marks beside it, then: edge-ecg enrol --refit --port file:RECORDING",
        )
    profile = load_profile(path)
    model = chosen_model(args)
    with open_source(address, device=args.device) as source:
        marked = MarkedWindows(model, profile, source.info.fs_hz, notch_hz=args.notch)
        for item in source:
            if not isinstance(item, SourceEvent):
                marked.push(item)
            elif item.event == MARKER:
                marked.mark(item.at_s, str(item.detail.get("text", "")))
    marked.flush()
    refitted, reports = marked.refit(utc_now())
    save_profile(refitted, path)
    _say_refitted(args, path, reports)
    return EXIT_DONE


def _undo(args: argparse.Namespace, path: Path) -> int:
    owner = owner_of_profile(path)
    restored = undo_profile(path).restored
    if restored is None and owner is not None:
        people_here().drop_files(owner, {real_place(path)})
    if args.json:
        kept = None if restored is None else restored.created
        print(json.dumps({"type": "undone", "path": str(path), "restored": kept}))
    elif restored is None:
        print(f"{path} is removed; there was no profile before it.")
    else:
        print(f"{path} is again the profile of {restored.created}{_refitted(restored)}.")
    return EXIT_DONE


def _address(args: argparse.Namespace) -> Address:
    """The source; a recording is read as fast as possible unless its address says otherwise."""
    address = parse_address(DEMO_AT_REST if args.demo else choose_address(args))
    if address.scheme == "file" and "speed" not in address.options:
        return replace(address, options={**address.options, "speed": "max"})
    return address


def _view(args: argparse.Namespace, enrolment: Enrolment, duration_s: float) -> EnrolmentView:
    if args.json:
        return EnrolmentJson(enrolment, sys.stdout)
    if sys.stdout.isatty():
        from ..sinks.enrolling_panel import EnrolmentPanel

        return EnrolmentPanel(enrolment, duration_s)
    return EnrolmentLines(enrolment, duration_s, sys.stdout)


def _say_enrolled(
    args: argparse.Namespace, path: Path, profile: Profile, model: Model, *, replaces: bool
) -> None:
    if args.json:
        line = {
            "type": "profile",
            "path": str(path),
            "profile": profile.name,
            "person": profile.person,
            "model": profile.model,
            "engine": model.engine,
            "seconds": profile.seconds,
            "windows": profile.windows,
            "heart_rate_bpm": profile.heart_rate_bpm and round(profile.heart_rate_bpm, 1),
            "replaces": replaces,
        }
        print(json.dumps(line))
        return
    rate = "" if profile.heart_rate_bpm is None else f", heart rate {profile.heart_rate_bpm:.0f} bpm"
    print(
        f"Baseline of {profile.person}, {profile.seconds:g} s at rest: {profile.windows} good windows{rate}."
    )
    print(
        f"Kept in {path}"
        + (f"; the one before it comes back with: {_undo_command(path)}" if replaces else "")
    )
    if not model.personal_heads:
        print(f"{model.name_at_sha} has no personal head: it decides as without a baseline.")
    print(f"Now: {_run_command(args, path)}")


def _say_refitted(args: argparse.Namespace, path: Path, reports: list[RefitReport]) -> None:
    for report in reports:
        if args.json:
            line = {"type": "refit", "path": str(path), "task": report.task, "examples": report.examples}
            print(json.dumps(line | {"right_before": report.right_before}))
            continue
        total = sum(report.examples.values())
        counted = ", ".join(f"{count} of {label}" for label, count in report.examples.items())
        print(f"{report.task}: refitted to {total} marked windows ({counted}).")
        print(f"  The head that came with the model had {report.right_before} of them right.")
    if not args.json:
        print(f"Kept in {path}; to take it back: {_undo_command(path)}")
        print(f"Now: {_run_command(args, path)}")


def _refitted(profile: Profile) -> str:
    return f", with refitted heads for {', '.join(profile.heads)}" if profile.heads else ""


def _undo_command(path: Path) -> str:
    return f"edge-ecg enrol --undo --profile {shlex.quote(str(path))}"


def _run_command(args: argparse.Namespace, path: Path) -> str:
    """The command that uses the profile as it was taken."""
    words = ["edge-ecg", "run", "--profile", str(path)]
    if args.demo:
        words.append("--demo")
    elif args.port is not None and not args.port.startswith("file:"):
        words += ["--port", args.port]
    for option, value in (("--device", args.device), ("--model", args.model), ("--notch", args.notch)):
        if value is not None:
            words += [option, str(value)]
    return shlex.join(words)
