"""``edge-ecg inspect``: what is in a bundle."""

from __future__ import annotations

import argparse
import json

from ..bundle import Bundle
from ..bundle.manifest import CARD_NAME
from ..errors import EXIT_DONE
from .verify import add_bundle, open_bundle


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_bundle(parser)
    parser.add_argument("--card", action="store_true", help="print the model card instead")


def run(args: argparse.Namespace) -> int:
    """Print the manifest (or the card) and return the exit code."""
    bundle = open_bundle(args.bundle)
    card = bundle.read(CARD_NAME).decode(errors="replace") if args.card else None
    if args.json:
        found = {"type": "bundle", "bundle": bundle.source, "model": bundle.name_at_sha}
        print(
            json.dumps(found | ({"manifest": bundle.manifest.to_json()} if card is None else {"card": card}))
        )
    else:
        print(_summary(bundle) if card is None else card.rstrip())
    return EXIT_DONE


def _summary(bundle: Bundle) -> str:
    manifest = bundle.manifest
    window, encoder = manifest.input, manifest.encoder
    steps = window.preprocessing
    notch = "" if steps.notch_hz is None else f", {steps.notch_hz:g} Hz notch"
    lines = [
        f"{bundle.name_at_sha}  version {manifest.version}, made {manifest.created}",
        f"needs       edge-ecg {manifest.minimum_runtime} or newer",
        f"input       {window.window_samples} samples at {window.fs_hz:g} Hz, {window.unit}; "
        f"{steps.highpass_hz:g} Hz high-pass{notch}, normalisation {steps.normalisation}",
        f"encoder     {encoder.architecture}: {encoder.parameters} parameters, "
        f"{encoder.macs / 1e6:.1f} million MACs, embedding of {encoder.embedding}",
    ]
    for name, task in manifest.tasks.items():
        lines.append(
            f"task        {name}: {' / '.join(task.labels)}; "
            f"silent below a confidence of {task.min_confidence:g}"
        )
    lines += [f"engine      {name}: {file}" for name, file in manifest.engines.items()]
    lines += [f"file        {entry.bytes:>9} bytes  {name}" for name, entry in manifest.files.items()]
    lines.append(f"signature   {'present' if bundle.signature is not None else 'none'}")
    if CARD_NAME in manifest.files:
        lines.append("The model card: edge-ecg inspect --card")
    return "\n".join(lines)
