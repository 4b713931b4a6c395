"""``edge-ecg keygen``: a key to sign bundles with."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..bundle.private_key import write_key_pair
from ..errors import EXIT_DONE
from .passphrase import add_passphrase, ask_new_passphrase, given_passphrase


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="NAME", help="writes NAME and NAME.pub"
    )
    parser.add_argument("--comment", help="what the key is called in signatures (default: NAME)")
    passphrase = parser.add_mutually_exclusive_group()
    add_passphrase(passphrase)
    passphrase.add_argument("--no-passphrase", action="store_true", help="do not ask; the key is plain")
    parser.epilog = "Example: edge-ecg keygen -o release && edge-ecg sign model.ecgb --key release"


def run(args: argparse.Namespace) -> int:
    """Make the key, say its fingerprint, and return the exit code."""
    passphrase = None if args.no_passphrase else given_passphrase(args) or ask_new_passphrase()
    comment = args.output.name if args.comment is None else args.comment
    public = write_key_pair(args.output, comment=comment, passphrase=passphrase or b"")
    if args.json:
        told = {
            "type": "key",
            "fingerprint": public.fingerprint,
            "comment": public.comment,
            "private": str(args.output),
            "public": f"{args.output}.pub",
            "encrypted": bool(passphrase),
        }
        print(json.dumps(told))
    else:
        state = "encrypted" if passphrase else "not encrypted"
        print(public)
        print(f"private key  {args.output}  ({state}; whoever has it can sign: keep it off the devices)")
        print(f"public key   {args.output}.pub  (on each device: edge-ecg trust add {args.output.name}.pub)")
    if not passphrase and not args.no_passphrase:
        print("The private key has no passphrase.", file=sys.stderr)
    return EXIT_DONE
