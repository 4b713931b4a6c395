"""``edge-ecg verify``: check every byte of a bundle."""

from __future__ import annotations

import argparse
import json

from ..bundle import Bundle, read_bundle
from ..errors import EXIT_DONE
from ..model import bundled


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_bundle(parser)


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """Add the one argument that inspect and verify share."""
    parser.add_argument("bundle", nargs="?", help="an .ecgb file; left out: the model that comes along")


def open_bundle(path: str | None) -> Bundle:
    """Read the bundle at a path, or the one that comes with edge-ecg."""
    return bundled() if path is None else read_bundle(path)


def run(args: argparse.Namespace) -> int:
    """Verify and return the exit code; a bundle that is not intact raises BundleError (exit code 4)."""
    bundle = open_bundle(args.bundle)
    size = sum(entry.bytes for entry in bundle.manifest.files.values())
    signed = bundle.signature is not None
    if args.json:
        result = {
            "type": "verified",
            "bundle": bundle.source,
            "model": bundle.name_at_sha,
            "manifest_sha256": bundle.manifest_sha256,
            "files": len(bundle.manifest.files),
            "bytes": size,
            "signed": signed,
        }
        print(json.dumps(result))
    else:
        signature = "a signature is there; this version does not check it" if signed else "unsigned"
        print(
            f"{bundle.name_at_sha}: intact. {len(bundle.manifest.files)} files, {size} bytes, "
            f"every SHA-256 as in the manifest; {signature}."
        )
    return EXIT_DONE
