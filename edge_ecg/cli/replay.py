"""``edge-ecg replay``: a recording through the pipeline again."""

from __future__ import annotations

import argparse
from dataclasses import replace

from ..errors import UsageError
from ..sources import Address, parse_address
from .streaming import add_duration, add_model_options, chosen_model, stream


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("recording", help="a path, or file:PATH?channel=NAME")
    parser.add_argument(
        "--speed",
        choices=("max", "1"),
        default="max",
        help="as fast as possible (default), or as it was live",
    )
    add_model_options(parser)
    add_duration(parser)


def run(args: argparse.Namespace) -> int:
    """Decide on the recording and return the exit code."""
    model = chosen_model(args)
    return stream(args, _address(args.recording, args.speed), model, duration_s=args.duration)


def _address(text: str, speed: str) -> Address:
    if not text.startswith("file:"):
        # A bare path is taken literally: it may hold a question mark.
        return Address("file", text, {"speed": speed}, f"file:{text}")
    address = parse_address(text)
    if "speed" in address.options:
        raise UsageError("The speed stands in the address already.", remedy="Use --speed for it.")
    return replace(address, options={**address.options, "speed": speed})
