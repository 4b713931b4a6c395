"""``edge-ecg trust``: whose signature counts on this machine."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..bundle import KeyFormatError, PublicKey, TrustedKey, TrustedKeys, read_bundle
from ..bundle.trust import SYSTEM_DIRECTORY, named_directories, user_directory
from ..bundle.trust_edit import add_trusted_key, remove_trusted_key
from ..deploy.layout import BUNDLE_NAME, Home
from ..errors import EXIT_DONE, EdgeEcgError, UsageError

_MAX_LINE = 4096
_NOBODY = (
    "No key is trusted here: bundles are read whether they are signed or not. "
    "edge-ecg trust add KEY.pub changes that."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-verbs."""
    actions = parser.add_subparsers(dest="action", metavar="add | list | remove", required=True)
    add = actions.add_parser("add", help="trust a key; from then on, others' bundles are refused here")
    add.add_argument("key", metavar="KEY.pub", help="a public key as keygen or ssh-keygen makes it; -: stdin")
    add.add_argument(
        "--system", action="store_true", help=f"for all users of this machine ({SYSTEM_DIRECTORY})"
    )
    actions.add_parser("list", help="who is trusted here")
    remove = actions.add_parser("remove", help="trust a key no longer")
    remove.add_argument("fingerprint", metavar="FINGERPRINT", help="SHA256:..., as `trust list` shows it")


def run(args: argparse.Namespace) -> int:
    """Change or show the trusted keys and return the exit code."""
    if args.action == "add":
        one = add_trusted_key(_folder(system=args.system), _read(args.key))
        _print([one], "trusted", as_json=args.json)
        print("Bundles that no trusted key has signed are refused here.", file=sys.stderr)
        _warn_of_the_running_model()
        return EXIT_DONE
    keys = TrustedKeys.of_machine()
    if args.action == "remove":
        _print(remove_trusted_key(keys, args.fingerprint), "removed", as_json=args.json)
        keys = TrustedKeys.of_machine()
        _warn_of_the_running_model()
    else:
        _print(keys.keys, "trusted", as_json=args.json)
    if not keys.keys:
        print(_NOBODY, file=sys.stderr)
    return EXIT_DONE


def _warn_of_the_running_model() -> None:
    """Say so when what was flashed to this machine would be refused at its next start."""
    try:
        current = Home.default().current / BUNDLE_NAME
    except UsageError:  # a user without a home has no model in it
        return
    if not os.path.exists(current):  # nor may it be looked for, perhaps
        return
    try:
        read_bundle(current)
    except EdgeEcgError as error:
        print(f"warning: the model that was flashed here will not start again: {error.what}", file=sys.stderr)
        print(
            "  try: edge-ecg flash HOST BUNDLE with a bundle that a trusted key has signed", file=sys.stderr
        )


def _print(keys: Sequence[TrustedKey], state: str, *, as_json: bool) -> None:
    for one in keys:
        if as_json:
            told = {"type": "key", "state": state, "fingerprint": one.key.fingerprint}
            print(json.dumps(told | {"comment": one.key.comment, "file": str(one.path)}))
        else:
            print(f"{state}  {one.key}  {one.path}")


def _folder(*, system: bool) -> Path:
    if system:
        return SYSTEM_DIRECTORY
    named = named_directories(os.environ)
    folder = named[0] if named else user_directory(os.environ)
    if folder is None:
        raise UsageError(
            "This user has no home folder to keep trusted keys in.",
            remedy="Add it for the whole machine: edge-ecg trust add --system KEY.pub",
        )
    return folder


def _read(path: str) -> PublicKey:
    try:
        if path == "-":
            text = sys.stdin.read(_MAX_LINE)
        else:
            with open(path, encoding="utf-8") as file:
                text = file.read(_MAX_LINE)
        return PublicKey.parse(text)
    except OSError as error:
        raise UsageError(f"The key {path} cannot be read.", why=f"{error.strerror or error}.") from error
    except ValueError as error:  # no UTF-8, or no key
        why = str(error) if isinstance(error, KeyFormatError) else "it is not a text"
        raise UsageError(
            f"{path} is not a public key that can be trusted.",
            why=f"{why[0].upper()}{why[1:]}.",
            remedy="Give the file NAME.pub that `edge-ecg keygen -o NAME` made.",
        ) from error
