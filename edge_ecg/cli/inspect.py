"""``edge-ecg inspect``: what is in a bundle."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from ..bundle import Bundle
from ..bundle.manifest import CARD_NAME, TaskSpec
from ..errors import EXIT_DONE
from . import printable
from .verify import add_bundle, add_untrusted, open_bundle, signer_lines

_CARD_SCHEMA = 2
_LEAKY_PROTOCOL = "random-windows"
_ADDED = {"baseline_s": "baseline", "context_s": "context"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_bundle(parser)
    add_untrusted(parser)
    parser.add_argument("--card", action="store_true", help="print the model card instead")


def run(args: argparse.Namespace) -> int:
    """Print the manifest (or the card) and return the exit code."""
    bundle = open_bundle(args.bundle, untrusted=args.untrusted)
    card = bundle.read(CARD_NAME).decode(errors="replace") if args.card else None
    if args.json:
        found: dict[str, object] = {"type": "bundle", "bundle": bundle.source, "model": bundle.name_at_sha}
        found["signers"] = [
            {"fingerprint": key.fingerprint, "comment": key.comment, "trusted": key in bundle.trusted_by}
            for key in bundle.signers
        ]
        print(
            json.dumps(found | ({"manifest": bundle.manifest.to_json()} if card is None else {"card": card}))
        )
    else:
        print(printable(_summary(bundle) if card is None else card.rstrip()))
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
    lines += [f"task        {_task(name, task)}" for name, task in manifest.tasks.items()]
    lines += [f"card        {line}" for line in _card(manifest.card)]
    lines += [f"engine      {name}: {file}" for name, file in manifest.engines.items()]
    lines += [f"file        {entry.bytes:>9} bytes  {name}" for name, entry in manifest.files.items()]
    lines += [f"signature   {line}" for line in signer_lines(bundle.signers, bundle.trusted_by)]
    if CARD_NAME in manifest.files:
        lines.append("The model card: edge-ecg inspect --card")
    return "\n".join(lines)


def _task(name: str, task: TaskSpec) -> str:
    words = [
        f"{name}: {' / '.join(task.labels)}",
        f"features {', '.join(task.features) or 'none'}",
        "personal head no" if task.personal_head is None else "personal head yes",
    ]
    if task.personal_head is not None:
        words[-1] += f" ({', '.join(task.personal_features) or 'no features'})"
    words.append(f"context {task.context_s:g} s" if task.context_s else "no context")
    words.append(f"silent below a confidence of {task.min_confidence:g}")
    return "; ".join(words)


def _card(card: Mapping[str, Any]) -> list[str]:
    """A line a task: how well the model itself does, and whether that is to be believed.

    A card is free-form JSON from whoever made the bundle; what is not as ``edge-ecg evaluate`` writes it is
    passed over.
    """
    try:
        return [_measured(name, one) for name, one in card["tasks"].items() if one["schema"] == _CARD_SCHEMA]
    except (KeyError, TypeError, ValueError, AttributeError):
        return []


def _measured(name: str, card: Mapping[str, Any]) -> str:
    ours = [
        row for row in card["rows"] if row["system"] == card["system"] and row["protocol"] != _LEAKY_PROTOCOL
    ]
    told = []
    for row in ours:
        auc = row["metrics"]["auc"]
        value, low, high = (
            "-" if auc[key] is None else f"{auc[key]:.3f}" for key in ("value", "low", "high")
        )
        setting = [f"{row[key]:g} s {what}" for key, what in _ADDED.items() if row[key]]
        told.append(f"{value} [{low}, {high}] {' + '.join(setting) or 'alone'}")
    checks, failed = card["leaks"]["checks"], card["leaks"]["failed"]
    leaks = f"{checks} leak checks hold" if checks else "no leak check was made"
    if failed:
        leaks = f"{failed} of {checks} leak checks FAILED"
    return f"{name}: AUC on {card['people']} new people: {', '.join(told)}; {leaks}"
