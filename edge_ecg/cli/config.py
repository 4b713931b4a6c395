"""``edge-ecg config``: check | show | init of the service's configuration."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from ..deploy.layout import Home
from ..errors import EXIT_DONE
from ..service.config import ConfigError, described, load_config
from ..service.render import commented_file, effective_file, write_new
from ..service.schema import ServiceConfig
from . import DISCLAIMER


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    verbs = parser.add_subparsers(dest="sub", metavar="VERB", required=True)
    _add(verbs, "check", "find everything that is wrong with it", _check)
    _add(verbs, "show", "the values that hold, defaults included", _show)
    init = _add(verbs, "init", "write one with a comment on every key", _init)
    init.add_argument("--port", metavar="ADDRESS", help="the sensor")
    init.add_argument("--force", action="store_true", help="also over one that is there")
    parser.epilog = f"Without FILE: config.toml in the folder of edge-ecg (EDGE_ECG_HOME).\n{DISCLAIMER}"


def _add(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    do: Callable[[argparse.Namespace, Path], int],
) -> argparse.ArgumentParser:
    sub = verbs.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    sub.add_argument("file", nargs="?", type=Path, metavar="FILE", help="left out: the service's own")
    sub.set_defaults(do=do)
    return sub


def run(args: argparse.Namespace) -> int:
    """Do what the sub-verb says, and return its exit code."""
    code: int = args.do(args, args.file or Home.default().config)
    return code


def _check(args: argparse.Namespace, path: Path) -> int:
    try:
        load_config(path)
    except ConfigError as error:
        for problem in error.problems:
            if args.json:
                print(
                    json.dumps({"type": "problem", "file": str(path), **asdict(problem)}, ensure_ascii=False)
                )
            else:
                print(described(path, problem), file=sys.stderr)
        return error.exit_code
    print(
        json.dumps({"type": "config", "file": str(path), "ok": True}) if args.json else f"{path} is in order."
    )
    return EXIT_DONE


def _show(args: argparse.Namespace, path: Path) -> int:
    if args.file is None and not path.exists():
        print(f"There is no {path}; these are the defaults.", file=sys.stderr)
        config = ServiceConfig()
    else:
        config = load_config(path)
    if args.json:
        print(json.dumps({"type": "config", "file": str(path), **asdict(config)}, ensure_ascii=False))
    else:
        print(effective_file(config), end="")
    return EXIT_DONE


def _init(args: argparse.Namespace, path: Path) -> int:
    from ..service.config import parse_config

    text = commented_file({} if args.port is None else {"source.port": args.port})
    parse_config(text, path)  # a port that makes no sense is refused before anything is written
    write_new(path, text, replace=args.force)
    if args.json:
        print(json.dumps({"type": "config", "file": str(path), "ok": True}))
    else:
        print(f"{path} is written; what stands behind a # is the default.", file=sys.stderr)
    return EXIT_DONE
