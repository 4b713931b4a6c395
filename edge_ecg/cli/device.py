"""``edge-ecg device``: the device's own side of flash, status and rollback, which call it over SSH."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..deploy.health import has_service
from ..deploy.layout import Home
from ..deploy.proving import MAX_LATENCY_MS
from ..deploy.releases import Releases
from ..deploy.shelf import Shelf
from ..deploy.start_script import install_start_script
from ..deploy.watching import watch
from ..engines import engine_names
from ..errors import EXIT_DONE
from .device_text import TEXTS
from .numbers import above_zero, whole, zero_or_above

_WATCH_S = 60.0
_PATIENCE_S = 180.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-verbs."""
    parser.epilog = "Works on the folder EDGE_ECG_HOME, else ~/.local/share/edge-ecg (docs/deploy-device.md)."
    verbs = parser.add_subparsers(dest="what", metavar="WHAT", required=True)

    one = verbs.add_parser("admit", help="check a bundle here and put it among the releases")
    one.add_argument("bundle", type=Path, help="an .ecgb file")
    one.add_argument("--runtime", metavar="ID", help="the runtime that will run it (default: this one)")
    one.add_argument(
        "--engine", choices=engine_names(), metavar="ENGINE",
        help="the engine that must pass (default: the one in config.toml, else auto)",
    )  # fmt: skip
    one.add_argument(
        "--max-latency-ms", type=above_zero, default=MAX_LATENCY_MS, metavar="MS",
        help=f"what 9 of 10 windows must stay below (default: {MAX_LATENCY_MS:g})",
    )  # fmt: skip
    one.add_argument("--allow-downgrade", action="store_true", help="take an older version, too")
    one.add_argument("--deployment", metavar="ID", help="name of the deployment in the journal")

    one = verbs.add_parser("switch", help="make a release the one that counts")
    one.add_argument("release", help="its name, number, NAME@SHA12, or the SHA-256 of its bundle")
    one.add_argument(
        "--watch-s", type=zero_or_above, default=_WATCH_S, metavar="S",
        help=f"how long the service must run it in good health (default: {_WATCH_S:g})",
    )  # fmt: skip
    one.add_argument("--again", action="store_true", help="even if it was taken back before")

    one = verbs.add_parser("watch", help="look on until the trial of a release ends")
    one.add_argument("release", nargs="?", help="its name (default: the current one)")
    one.add_argument(
        "--timeout", type=zero_or_above, default=_PATIENCE_S, metavar="S", help="for how long (180)"
    )

    one = verbs.add_parser("confirm", help="end the trial of the current release well")
    one.add_argument("release", nargs="?", help="only if this one is the current one")

    one = verbs.add_parser("rollback", help="go back to the release before")
    one.add_argument("--from", dest="release", metavar="RELEASE", help="only if this one is the current one")
    one.add_argument("--reason", default="rolled back by hand", help="kept with the release")

    verbs.add_parser("status", help="what runs here, how well, and what this device is")

    one = verbs.add_parser("prune", help="remove releases and runtimes that nothing needs any more")
    one.add_argument("--spare", type=whole(0), default=1, metavar="N", help="how many more to keep (1)")
    one.add_argument("--keep", action="append", default=[], metavar="NAME", help="keep this one, too")

    one = verbs.add_parser("journal", help="what was done to this device")
    one.add_argument("--last", type=whole(1), metavar="N", help="only the last so many lines")

    verbs.add_parser("init", help="make the folder and the start script")


def run(args: argparse.Namespace) -> int:
    """Do it, print what came of it, and return the exit code."""
    home = Home.default()

    def say(found: dict[str, Any]) -> None:
        text = json.dumps(found, ensure_ascii=False) if args.json else TEXTS[found["type"]](found)
        # A path or a reason may hold bytes that are no text; as \udcXX they stay JSON.
        print(text.encode(errors="backslashreplace").decode(), flush=True)

    _VERBS[args.what](home, args, say)
    return EXIT_DONE


Say = Callable[[dict[str, Any]], None]


def _admit(home: Home, args: argparse.Namespace, say: Say) -> None:
    from ..deploy.admission import admit

    release = admit(
        home,
        args.bundle.absolute(),
        runtime_id=args.runtime,
        engine=args.engine,
        max_latency_ms=args.max_latency_ms,
        allow_downgrade=args.allow_downgrade,
        deployment=args.deployment,
    )
    say({"type": "admitted", "release": release.name, **release.to_json()})


def _switch(home: Home, args: argparse.Namespace, say: Say) -> None:
    releases = Releases(home)
    before = releases.current()
    trial = releases.switch(args.release, args.watch_s if has_service(home) else None, again=args.again)
    current, previous = releases.current(), releases.previous()
    say(
        {
            "type": "switched",
            "release": current.name if current else None,
            "from": before.name if before else None,
            "previous": previous.name if previous else None,
            "confirmed": trial is None,
            "watch_s": trial.watch_s if trial else None,
        }
    )


def _watch(home: Home, args: argparse.Namespace, say: Say) -> None:
    name = Shelf(home).get(args.release).name if args.release else None
    for event in watch(home, name, timeout_s=args.timeout):
        say(event)


def _confirm(home: Home, args: argparse.Namespace, say: Say) -> None:
    release = Releases(home).confirm(args.release)
    say({"type": "confirmed", "release": release.name if release else None})


def _rollback(home: Home, args: argparse.Namespace, say: Say) -> None:
    releases = Releases(home)
    before = releases.current()
    release = releases.revert(args.reason, args.release)
    say(
        {
            "type": "reverted",
            "release": release.name,
            "from": before.name if before else None,
            "reason": args.reason,
        }
    )


def _status(home: Home, _: argparse.Namespace, say: Say) -> None:
    from ..deploy.status import device_status

    say(device_status(home))


def _prune(home: Home, args: argparse.Namespace, say: Say) -> None:
    say({"type": "pruned", "removed": Releases(home).prune(args.spare, frozenset(args.keep))})


def _journal(home: Home, args: argparse.Namespace, say: Say) -> None:
    from ..deploy.status import history

    entries = history(home)
    for entry in entries[-args.last :] if args.last else entries:
        say({"type": "journal", **entry.to_json()})


def _init(home: Home, _: argparse.Namespace, say: Say) -> None:
    install_start_script(home)
    say({"type": "home", "home": str(home.root), "start_script": str(home.start_script)})


_VERBS: dict[str, Callable[[Home, argparse.Namespace, Say], None]] = {
    "admit": _admit,
    "switch": _switch,
    "watch": _watch,
    "confirm": _confirm,
    "rollback": _rollback,
    "status": _status,
    "prune": _prune,
    "journal": _journal,
    "init": _init,
}
