"""``edge-ecg verify``: check every byte of a bundle, and who signed it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Container, Sequence
from pathlib import Path

from ..bundle import Bundle, Golden, PublicKey, TrustedKeys, read_bundle
from ..bundle.manifest import GOLDEN_NAME
from ..bundle.reader import untrusted_error
from ..engines import check_encoders
from ..errors import EXIT_DONE, UsageError
from ..model import bundled, load_heads, load_personal_heads


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_bundle(parser)
    parser.add_argument(
        "--keys",
        type=Path,
        metavar="DIR",
        help="ask for a signature by one of the keys DIR/*.pub (default: those that this machine trusts)",
    )


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """Add the one argument that inspect and verify share."""
    parser.add_argument("bundle", nargs="?", help="an .ecgb file; left out: the model that comes along")


def add_untrusted(parser: argparse.ArgumentParser) -> None:
    """Add ``--untrusted``, for verbs on which nothing but this one run depends."""
    parser.add_argument(
        "--untrusted",
        action="store_true",
        help="take the bundle even if none of the keys that this machine trusts has signed it",
    )


def say_untrusted(path: str) -> None:
    """Leave a trace on the screen (and in a journal) of a check that was waived."""
    print(f"--untrusted: nobody asks who signed {path}.", file=sys.stderr)


def open_bundle(path: str | None, *, untrusted: bool = False) -> Bundle:
    """Read the bundle at a path, or the one that comes with edge-ecg; ``untrusted`` asks for no signer."""
    if path is None:
        return bundled()
    if untrusted:
        say_untrusted(path)
    return read_bundle(path, trust=TrustedKeys() if untrusted else None)


def run(args: argparse.Namespace) -> int:
    """Verify and return the exit code.

    Raises
    ------
    BundleError
        When the bundle is not intact, or would not be run here (exit code 4); what is known of an intact one
        has been printed then.

    """
    keys = _keys(args.keys)
    bundle = bundled() if args.bundle is None else read_bundle(args.bundle, trust=TrustedKeys())
    check_files(bundle)
    # What comes along is part of the installed program, whoever is trusted.
    accepted = args.bundle is None or not keys.keys or any(key in keys for key in bundle.signers)
    if args.json:
        print(json.dumps(_found(bundle, keys, accepted=accepted)))
    else:
        print("\n".join(_lines(bundle, keys, comes_along=args.bundle is None)))
    if not accepted:
        raise untrusted_error(bundle.source, bundle.signers)
    return EXIT_DONE


def check_files(bundle: Bundle) -> None:
    """Read whatever a device would read of it, short of running the encoders."""
    check_encoders(bundle)
    load_heads(bundle)
    load_personal_heads(bundle)
    if GOLDEN_NAME in bundle.contents:
        Golden.from_bundle(bundle)


def signer_lines(signers: Sequence[PublicKey], trusted: Container[PublicKey]) -> list[str]:
    """A line for each signature, or one for none."""
    return [f"{key}, {'trusted' if key in trusted else 'not trusted'} here" for key in signers] or ["none"]


def _keys(folder: Path | None) -> TrustedKeys:
    if folder is None:
        return TrustedKeys.of_machine()
    keys = TrustedKeys.of_directories([folder])
    if not keys.keys:
        raise UsageError(
            f"There is no key in {folder}.", remedy="Give --keys a folder that holds at least one NAME.pub."
        )
    return keys


def _found(bundle: Bundle, keys: TrustedKeys, *, accepted: bool) -> dict[str, object]:
    return {
        "type": "verified",
        "bundle": bundle.source,
        "model": bundle.name_at_sha,
        "manifest_sha256": bundle.manifest_sha256,
        "files": len(bundle.manifest.files),
        "bytes": _size(bundle),
        "signed": bool(bundle.signers),
        "signers": [
            {"fingerprint": key.fingerprint, "comment": key.comment, "trusted": key in keys}
            for key in bundle.signers
        ],
        "trusted_keys": len(keys.keys),
        "accepted": accepted,
    }


def _lines(bundle: Bundle, keys: TrustedKeys, *, comes_along: bool) -> list[str]:
    lines = [
        f"{bundle.name_at_sha}: intact. {len(bundle.manifest.files)} files, {_size(bundle)} bytes, "
        "every SHA-256 as in the manifest."
    ]
    lines += [f"signature   {line}" for line in signer_lines(bundle.signers, keys)]
    if comes_along:
        lines.append("It comes with edge-ecg and needs no signature here.")
    elif not keys.keys:
        lines.append("No key is trusted here, so any bundle is run: edge-ecg trust add KEY.pub")
    return lines


def _size(bundle: Bundle) -> int:
    return sum(entry.bytes for entry in bundle.manifest.files.values())
