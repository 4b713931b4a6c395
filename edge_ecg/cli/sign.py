"""``edge-ecg sign``: put one's name to a bundle."""

from __future__ import annotations

import argparse
import io
import json
import os
from pathlib import Path

from ..bundle import PublicKey, TrustedKeys, read_bundle, save_bundle, sign_bundle
from ..bundle.private_key import comment_beside, load_private_key, public_of
from ..bundle.reader import NamedBytes, load_bytes
from ..errors import EXIT_DONE
from .passphrase import add_passphrase, ask_passphrase, given_passphrase


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="an .ecgb file")
    parser.add_argument(
        "--key",
        type=Path,
        required=True,
        metavar="FILE",
        help="an Ed25519 private key in OpenSSH's format: of `edge-ecg keygen`, or ~/.ssh/id_ed25519",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help="a new bundle (default: BUNDLE is replaced)"
    )
    parser.add_argument("--comment", help="signed along (default: the comment of FILE.pub)")
    parser.add_argument(
        "--replace", action="store_true", help="drop earlier signatures (default: they are kept)"
    )
    add_passphrase(parser)
    parser.epilog = "Example: edge-ecg sign model.ecgb --key release"


def run(args: argparse.Namespace) -> int:
    """Sign, write in one step, say who has signed, and return the exit code."""
    label, data = load_bytes(args.bundle)
    # What cannot be signed is refused before anybody is asked for a passphrase.
    if not args.replace:
        read_bundle(NamedBytes(data, label), trust=TrustedKeys())

    def ask(key: PublicKey) -> bytes | None:
        return given_passphrase(args) or ask_passphrase(f"Passphrase of {args.key} ({key.fingerprint}): ")

    private = load_private_key(args.key, ask)
    comment = comment_beside(args.key, public_of(private)) if args.comment is None else args.comment
    signed = sign_bundle(data, private, comment=comment, replace=args.replace)
    # Where the path is a link, the file that it leads to is replaced, not the link.
    output = args.output or Path(os.path.realpath(args.bundle))
    save_bundle(output, signed)
    bundle = read_bundle(io.BytesIO(signed), trust=TrustedKeys())
    if args.json:
        told = {
            "type": "signed",
            "bundle": str(args.output or args.bundle),
            "model": bundle.name_at_sha,
            "key": public_of(private).fingerprint,
            "signers": [{"fingerprint": key.fingerprint, "comment": key.comment} for key in bundle.signers],
        }
        print(json.dumps(told))
    else:
        signers = ", ".join(map(str, bundle.signers))
        print(f"{args.output or args.bundle}: {bundle.name_at_sha}, signed by {signers}")
    return EXIT_DONE
