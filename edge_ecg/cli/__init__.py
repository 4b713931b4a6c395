"""The command ``edge-ecg``: a table of verbs, each a module that is imported only when it is used.

A verb's module offers ``configure(parser)`` and ``run(args) -> exit code``. What is common to all stands
here: ``--json``, how a foreseen failure is printed, what an interrupt does, what a missing extra says.
"""

from __future__ import annotations

import argparse
import codecs
import errno
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple, Protocol, cast

from .._version import __version__
from ..errors import EXIT_DONE, EXIT_INTERRUPTED, DataError, EdgeEcgError, UsageError
from .signals import interrupt_on_termination

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

DISCLAIMER = "edge-ecg is research software, not a medical device."


class Verb(NamedTuple):
    """One row of the table: where a verb lives, what it is for, and which extra brings what it imports.

    A ``hidden`` verb is for other programs; the general help does not list it.
    """

    module: str
    help: str
    extra: str = ""
    hidden: bool = False


VERBS: dict[str, Verb] = {
    "run": Verb("edge_ecg.cli.run", "live decisions from a device, a file or the simulator"),
    "record": Verb("edge_ecg.cli.record", "keep a stream without deciding"),
    "enrol": Verb("edge_ecg.cli.enrol", "two minutes at rest: a personal baseline"),
    "forget": Verb("edge_ecg.cli.forget", "remove a person's profile and recordings"),
    "replay": Verb("edge_ecg.cli.replay", "a recording through the pipeline again"),
    "devices": Verb("edge_ecg.cli.devices", "what is plugged in or in range, with its address"),
    "doctor": Verb("edge_ecg.cli.doctor", "check this machine; print what mends each fault"),
    "simulate": Verb("edge_ecg.cli.simulate", "a virtual device that other programs can open"),
    "service": Verb("edge_ecg.cli.service", "install | uninstall | run | unit | status: decide at boot"),
    "config": Verb("edge_ecg.cli.config", "check | show | init: the service's configuration"),
    "view": Verb("edge_ecg.cli.view", "a recording or a live source as a strip"),
    "data": Verb("edge_ecg.cli.data", "prepare | check | list: data sets to windows", "train"),
    "train": Verb("edge_ecg.cli.train", "pretext | emotion: train an encoder and its heads", "train"),
    "evaluate": Verb(
        "edge_ecg.cli.evaluate", "the card: subject-independent numbers with intervals", "train"
    ),
    "export": Verb("edge_ecg.cli.export", "a trained run to a bundle, through the gate", "train"),
    "inspect": Verb("edge_ecg.cli.inspect", "what is in a bundle"),
    "verify": Verb("edge_ecg.cli.verify", "check every hash and signature in a bundle"),
    "keygen": Verb("edge_ecg.cli.keygen", "make a key to sign bundles with"),
    "sign": Verb("edge_ecg.cli.sign", "sign a bundle"),
    "trust": Verb("edge_ecg.cli.trust", "add | list | remove: whose bundles this machine runs"),
    "bench": Verb("edge_ecg.cli.bench", "latency, memory and agreement of a bundle, here or on a device"),
    "flash": Verb("edge_ecg.cli.flash", "put a bundle on a device over SSH; it proves itself there first"),
    "rollback": Verb("edge_ecg.cli.rollback", "go back to the model that a device ran before"),
    "status": Verb("edge_ecg.cli.status", "what a device runs, and how well; without HOST this machine"),
    "logs": Verb("edge_ecg.cli.logs", "the log of the service on a device"),
    "device": Verb("edge_ecg.cli.device", "the device's own side of flash and status", hidden=True),
    "sbom": Verb("edge_ecg.cli.sbom", "what the runtime is made of, and its licences"),
}


class VerbModule(Protocol):
    """What a module in the table offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it and return the exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; foreseen failures are printed, bugs propagate."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _fill_closed_streams()
    _escape_what_stdout_lacks()
    with interrupt_on_termination():
        try:
            code = _dispatch(arguments)
            # Not left to interpreter exit: here a reader that has gone can still be handled.
            sys.stdout.flush()
        except EdgeEcgError as error:
            print_error(error)
            return error.exit_code
        except FileNotFoundError:
            if _is_somewhere():
                raise
            gone = UsageError("The folder that you are in has been removed.", remedy="cd")
            print_error(gone)
            return gone.exit_code
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return EXIT_INTERRUPTED
        except BrokenPipeError:
            # The reader of stdout (`| head`) has had enough. Nothing more can be said there.
            _silence_stdout()
            return EXIT_DONE
        except OSError as error:
            if not _is_of_stdout(error):
                raise
            _silence_stdout()
            full = DataError(
                "What was to be printed cannot be written.",
                why=f"{error.strerror or error}.",
                remedy="Send stdout elsewhere, or make room on the disk that it goes to.",
            )
            print_error(full)
            return full.exit_code
    return code


def _is_somewhere() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _fill_closed_streams() -> None:
    """Give what was closed before the start (``>&-``, some supervisors) a stream that leads nowhere.

    Python has None there, and the next file to be opened would get the number 0, 1 or 2: what a library
    prints would go into a recording; and, as ``print(file=None)`` means stdout, talk among the data.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, for the process's life


def _escape_what_stdout_lacks() -> None:
    """Print letters that stdout's encoding lacks as JSON writes them: marks may hold any."""
    codecs.register_error("edge-ecg", _escaped)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="edge-ecg")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)), error.end


def _silence_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_of_stdout(error: OSError) -> bool:
    """Whether a failed write was one to stdout: then the next one fails, too."""
    if error.filename is not None or error.errno not in _NO_ROOM:
        return False
    try:
        print(flush=True)
    except OSError:
        return True
    return False


def print_error(error: EdgeEcgError) -> None:
    """What happened, why, and what to do: one line each on stderr."""
    print(f"edge-ecg: {printable(error.what)}", file=sys.stderr)
    if error.why:
        print(f"  why: {printable(error.why)}", file=sys.stderr)
    if error.remedy:
        print(f"  try: {printable(error.remedy)}", file=sys.stderr)


def printable(text: str) -> str:
    """Return a text that may come from a stranger's file without what a terminal would obey."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)


def _dispatch(arguments: list[str]) -> int:
    name = next((word for word in arguments if not word.startswith("-")), None)
    verb = VERBS.get(name) if name is not None else None
    if name is None or verb is None:
        parser = _top_parser()
        parser.parse_args(arguments)
        parser.print_help(sys.stderr)
        return UsageError.exit_code
    try:
        module = cast(VerbModule, import_module(verb.module))
        parser = _top_parser(name, module)
        return module.run(parser.parse_args(arguments))
    except ModuleNotFoundError as error:
        raise _missing_extra(name, verb, error) from error


def _top_parser(used: str | None = None, module: VerbModule | None = None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edge-ecg",
        description="ECG stress and emotion recognition, from recordings to a Raspberry Pi.",
        epilog=f"Start here: edge-ecg run --demo\n{DISCLAIMER}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"edge-ecg {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs", parser_class=_VerbParser)
    for name, verb in VERBS.items():
        sub = verbs.add_parser(
            name,
            help=verb.help,
            description=f"{verb.help[0].upper()}{verb.help[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if verb.hidden:
            # argparse lists what was given a help; SUPPRESS would be printed as it is.
            verbs._choices_actions.pop()
        if name == used and module is not None:
            module.configure(sub)
            _add_json(sub, default=False)
    return parser


class _VerbParser(argparse.ArgumentParser):
    """A parser that takes options between two words: ``flash HOST --batch BUNDLE``.

    argparse gives a word that may be left out up at the first option after the one before. Where ``--`` says
    what is a word, it is left to that.
    """

    _between = False

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """As the base class, which is what :meth:`parse_known_intermixed_args` calls in its turn."""
        words = [action for action in self._actions if not action.option_strings]
        plain = len(words) < 2 or any(action.nargs == argparse.PARSER for action in words)
        if self._between or plain or "--" in (args or ()):
            return super().parse_known_args(args, namespace)
        self._between = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._between = False


def _add_json(parser: argparse.ArgumentParser, *, default: bool | str) -> None:
    """Add ``--json`` to a verb and to its sub-verbs (where it must not undo the verb's own)."""
    parser.add_argument(
        "--json", action="store_true", default=default, help="one JSON object a line on stdout, nothing else"
    )
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in dict.fromkeys(action.choices.values()):  # aliases lead to the same one
                _add_json(sub, default=argparse.SUPPRESS)


def _missing_extra(name: str, verb: Verb, error: ModuleNotFoundError) -> Exception:
    missing = (error.name or "").split(".")[0]
    if not missing or missing.startswith("edge_ecg"):
        return error
    package = f"edge-ecg[{verb.extra}]" if verb.extra else "edge-ecg"
    return UsageError(
        f"`edge-ecg {name}` needs the Python package {missing!r}, which is not installed here.",
        why="The base install holds only what a Raspberry Pi needs." if verb.extra else "",
        remedy=f"pip install '{package}'",
    )
