"""``edge-ecg flash``: put a bundle on a device over SSH; it proves itself there before it counts."""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path

from ..deploy.remote.device_side import call_current
from ..deploy.remote.flash import Flash
from ..deploy.remote.flash_options import Flashed, FlashOptions
from ..deploy.remote.fleet import FleetHost
from ..deploy.remote.pins import ENGINES, LITERT, pins
from ..deploy.remote.rollout import Row, State
from ..deploy.remote.ssh import Remote
from ..deploy.remote.stages import DEFAULT, stage_ends
from ..deploy.remote.wheelhouse import SYSTEMS, fill
from ..deploy.trial import ROLLOUT_HALTED
from ..errors import EXIT_DONE, EdgeEcgError, UsageError
from . import DISCLAIMER, printable
from .fleet_run import FleetRun
from .numbers import above_zero, whole
from .remote_args import add_fleet, add_ssh, fleet_of, refuse_both, require_host, ssh_options
from .remote_talk import RowTalk, Talk, print_record

_WATCH_S = 30.0
_EXAMPLE = "flash pi@raspberrypi.local stress.ecgb"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "host", nargs="?", metavar="HOST", help="as ssh takes it: USER@NAME, or a Host of its config"
    )
    parser.add_argument(
        "bundle", nargs="?", metavar="BUNDLE", help="an .ecgb file; left out: the one that comes along"
    )
    parser.add_argument(
        "--watch", type=above_zero, default=_WATCH_S, metavar="SECONDS",
        help=f"how long the service must run it in good health (default: {_WATCH_S:g})",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="look and say what would be done")
    parser.add_argument("--allow-downgrade", action="store_true", help="take an older version, too")
    parser.add_argument("--again", action="store_true", help="even if the device took it back before")
    parser.add_argument(
        "--max-latency-ms", type=above_zero, metavar="MS", help="the latency gate (default: the device's)"
    )
    parser.add_argument(
        "--trust", type=Path, metavar="KEY.pub", help="put this key among the device's trusted ones"
    )
    parser.add_argument(
        "--service", nargs="?", const="", metavar="ADDRESS",
        help="install the systemd service (sudo), reading from this address (--port of `run`)",
    )  # fmt: skip
    group = parser.add_argument_group("runtime")
    group.add_argument(
        "--engine", choices=ENGINES, default=LITERT, help="both: ONNX Runtime, too (default: litert)"
    )
    group.add_argument(
        "--wheelhouse", type=Path, metavar="DIR",
        help="send the packages from here (missing ones are downloaded first); else the device asks PyPI",
    )  # fmt: skip
    group.add_argument(
        "--for", dest="system", choices=sorted(SYSTEMS), help="only fill the wheelhouse, for this system"
    )
    group.add_argument("--runtime", metavar="WHEEL", help="another edge-ecg than the one that runs here")
    add_fleet(parser)
    parser.add_argument(
        "--stages",
        default=DEFAULT,
        help=f"hosts done after each stage (default: {DEFAULT})".replace("%", "%%"),
    )
    parser.add_argument(
        "--max-failures", type=whole(0), default=0, metavar="N", help="so many may fail before it halts (0)"
    )
    parser.add_argument(
        "--revert-on-halt", action="store_true", help="take it back where it was put, when it halts"
    )
    add_ssh(parser)
    parser.epilog = f"Example: edge-ecg {_EXAMPLE}\n{DISCLAIMER}"


def run(args: argparse.Namespace) -> int:
    """Do it and return the exit code: 0, 4 (bundle refused), 6 (model refused or taken back) or 7."""
    if args.system is not None:
        return _fill_wheelhouse(args)
    fleet = fleet_of(args)
    if fleet is not None and args.host is not None and args.bundle is None:
        args.host, args.bundle = None, args.host  # with a fleet the one word is the bundle
    refuse_both(args.host, fleet)
    if args.bundle is None and args.host is not None and args.host.endswith(".ecgb"):
        args.host, args.bundle = None, args.host
    host = None if fleet is not None else require_host(args.host, _EXAMPLE)
    with tempfile.TemporaryDirectory(prefix="edge-ecg-") as folder, as_file(_bundled()) as bundled:
        flash = Flash(_options(args, bundled), Path(folder))
        if host is not None:
            return _flash_one(args, flash, host)
        return _flash_fleet(args, flash, fleet or [])


def _flash_one(args: argparse.Namespace, flash: Flash, host: str) -> int:
    talk = Talk(host, json_lines=args.json)
    try:
        with Remote(host, ssh_options(args)) as remote:
            talk.connected(remote)
            done = flash.run(remote, talk)
    except KeyboardInterrupt:
        print(
            f"\nBroken off. {host} runs the old model or the new one, never none: `edge-ecg status {host}`.\n"
            "The same command again goes on from here.",
            file=sys.stderr,
        )
        raise
    if args.json:
        print_record({"type": "flashed", "host": host, **done.to_json(), "seconds": round(talk.elapsed_s, 3)})
    else:
        print(f"{host}: {printable(_sentence(done))} ({talk.elapsed_s:.0f} s)")
    return EXIT_DONE


def _flash_fleet(args: argparse.Namespace, flash: Flash, fleet: list[FleetHost]) -> int:
    ends = stage_ends(args.stages, len(fleet))

    def on_host(remote: Remote, row: Row) -> bool:
        talk = RowTalk(row, json_lines=args.json)
        talk.connected(remote)
        done = flash.run(remote, talk)
        row.text, row.result = printable(_sentence(done)), done.to_json()
        return done.changed or (done.dry_run and not done.confirmed)

    run = FleetRun(
        fleet, ssh_options(args), ends, on_host,
        jobs=args.jobs, max_failures=args.max_failures, json_lines=args.json,
    )  # fmt: skip
    if not args.json:
        told = ", then ".join(map(str, ends))
        print(
            f"{flash.model} on {len(fleet)} hosts; after each stage it shall run on {told}", file=sys.stderr
        )
    try:
        run.run()
    except KeyboardInterrupt:
        run.report()
        raise
    if run.rollout.halted and args.revert_on_halt and not args.dry_run:
        _revert(run, flash)
    run.report()
    if run.rollout.halted and not args.json:
        print(
            "Halted. The same command again goes on; hosts that run it already are left alone.",
            file=sys.stderr,
        )
    return run.rollout.exit_code()


def _revert(run: FleetRun, flash: Flash) -> None:
    for row in run.rollout.rows:
        if row.state is not State.DONE:
            continue
        release = str(row.result["release"])
        try:
            run.over(row, partial(_take_back, release))
        except EdgeEcgError as error:
            row.warnings.append(f"not taken back: {error.what}")
        else:
            row.state, row.text = State.REVERTED, f"{flash.model} was taken back"


def _take_back(release: str, remote: Remote) -> None:
    call_current(remote, "device", "rollback", "--from", release, "--reason", ROLLOUT_HALTED)


def _fill_wheelhouse(args: argparse.Namespace) -> int:
    if args.wheelhouse is None:
        raise UsageError(
            "--for fills a wheelhouse, and none is named.",
            remedy=f"Add --wheelhouse DIR --for {args.system}.",
        )
    wheels = fill(args.wheelhouse, pins(args.engine), SYSTEMS[args.system])
    size = sum(wheel.stat().st_size for wheel in wheels)
    if args.json:
        names = [wheel.name for wheel in wheels]
        print_record({"type": "wheelhouse", "folder": str(args.wheelhouse), "wheels": names, "bytes": size})
    else:
        print(
            f"{args.wheelhouse}: {len(wheels)} wheels ({size / 1e6:.0f} MB) for Raspberry Pi OS {args.system}"
        )
    return EXIT_DONE


def _options(args: argparse.Namespace, bundled: Path) -> FlashOptions:
    if args.service:
        _require_address(args.service)
    return FlashOptions(
        bundle=bundled if args.bundle is None else Path(args.bundle),
        watch_s=args.watch,
        engine=args.engine,
        wheelhouse=args.wheelhouse,
        runtime_wheel=args.runtime,
        trust=args.trust,
        service=args.service,
        max_latency_ms=args.max_latency_ms,
        allow_downgrade=args.allow_downgrade,
        again=args.again,
        dry_run=args.dry_run,
    )


def _require_address(text: str) -> None:
    """Refuse here what the device would refuse last of all, with the model switched."""
    from ..service.values import ADDRESS

    try:
        ADDRESS.check(text)
    except ValueError as error:
        raise UsageError(
            f"The service cannot read from this address: {error}",
            remedy="Give what `port` in its configuration takes: --service /dev/ttyUSB0",
        ) from None


def _bundled() -> Traversable:
    folder = files("edge_ecg") / "models"
    return min((one for one in folder.iterdir() if one.name.endswith(".ecgb")), key=lambda one: one.name)


def _sentence(done: Flashed) -> str:
    if done.dry_run:
        told = f"{done.release} counts already" if done.confirmed else f"would get {done.model}"
        return f"{told}; nothing was changed"
    if not done.changed and not done.watched:
        return f"{done.release} counts, as before"
    proven = "ran it in good health" if done.watched else "its golden windows hold there"
    return f"{done.release} counts: {proven}; before: {done.previous or 'none'}"
