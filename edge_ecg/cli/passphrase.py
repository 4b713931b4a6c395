"""Where the passphrase of a private key comes from: a file, the environment, or the terminal."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from ..errors import UsageError

ENVIRONMENT = "EDGE_ECG_KEY_PASSPHRASE"
_MAX_BYTES = 1024


def add_passphrase(parser: argparse.ArgumentParser | argparse._MutuallyExclusiveGroup) -> None:
    """Add ``--passphrase-file``."""
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help=f"its first line is the key's passphrase; or set {ENVIRONMENT}; else the terminal is asked",
    )


def given_passphrase(args: argparse.Namespace) -> bytes | None:
    """Return the passphrase from the file or the environment; None when neither was given.

    Raises
    ------
    UsageError
        When the file cannot be read or its first line is empty.

    """
    if args.passphrase_file is None:
        return os.fsencode(os.environ.get(ENVIRONMENT, "")) or None
    try:
        with args.passphrase_file.open("rb") as file:
            line: bytes = file.readline(_MAX_BYTES).rstrip(b"\r\n")
    except OSError as error:
        raise UsageError(
            f"The passphrase file {args.passphrase_file} cannot be read.", why=f"{error.strerror or error}."
        ) from error
    if not line:
        raise UsageError(f"The first line of {args.passphrase_file} is empty; it must be the passphrase.")
    return line


def ask_passphrase(prompt: str) -> bytes | None:
    """Ask at the terminal, without showing what is typed; None when there is none."""
    if sys.stdin is None or not sys.stdin.isatty():
        return None
    try:
        return getpass.getpass(prompt).encode()
    except EOFError:
        return None


def ask_new_passphrase() -> bytes | None:
    """Ask twice; empty for none, None without a terminal; UsageError when the two differ."""
    first = ask_passphrase("Passphrase for the new key (empty for none): ")
    if first and ask_passphrase("The same again: ") != first:
        raise UsageError("The two passphrases differ; no key was made.")
    return first
