"""``edge-ecg simulate``: a virtual device that other programs can open."""

from __future__ import annotations

import argparse
import json

from ..errors import EXIT_DONE, EXIT_INTERRUPTED
from .streaming import seconds

_STORIES = ("rest", "stress", "rest-stress")
_LINES = ("adc", "ms,adc", "us,adc", "mv")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("kind", choices=("shimmer3", "text"), help="the device to be")
    parser.add_argument(
        "--from", dest="recording", metavar="ADDRESS", help="file:PATH: what it measures; else synthetic ECG"
    )
    parser.add_argument("--pty", metavar="LINK", help="a name for the port; left out: the one it gets")
    parser.add_argument("--story", choices=_STORIES, default="rest-stress", help="of the synthetic ECG")
    parser.add_argument(
        "--rate", type=seconds, default=250.0, metavar="HZ", help="of a text board (default: 250)"
    )
    parser.add_argument("--line", choices=_LINES, default="us,adc", help="what a text board prints")
    parser.add_argument("--firmware", default="0.15.4", help="of a Shimmer (default: 0.15.4)")
    parser.add_argument(
        "--speed", type=seconds, default=1.0, metavar="N", help="times real time (default: 1)"
    )
    parser.add_argument("--loop", action="store_true", help="begin the recording again when it is over")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.epilog = (
        "Example: edge-ecg simulate shimmer3 --from file:rec.edf --pty /tmp/ecg, then, elsewhere: "
        "edge-ecg run --port /tmp/ecg"
    )


def run(args: argparse.Namespace) -> int:
    """Serve the device until its recording is over or the user ends it."""
    from edge_ecg_bridge.emulators import Signal

    from ..sources.pty_host import PtyHost
    from ..sources.recording_signal import RecordingSignal
    from ..sources.virtual import VirtualDevice, synthetic_signal

    signal: Signal = synthetic_signal(args.story, None, args.seed)
    if args.recording is not None:
        recording = RecordingSignal.parse(args.recording)
        recording.check()
        signal = recording
    device = VirtualDevice(
        args.kind,
        signal,
        firmware=args.firmware,
        fs_hz=args.rate,
        line=args.line,
        loop=args.loop,
        seed=args.seed,
    )

    def tell(record: dict[str, str], sentence: str) -> None:
        if args.json:
            print(json.dumps(record), flush=True)
        else:
            print(sentence, flush=True)

    def changed(what: str) -> None:
        tell({"type": "event", "event": what}, f"The port was {what}.")

    with PtyHost(device.build(), link=args.pty, speed=args.speed, on_change=changed) as host:
        command = f"edge-ecg run --port {host.port}"
        tell(
            {"type": "port", "port": host.port, "device": args.kind, "command": command},
            f"A virtual {args.kind} is at {host.port}. Open it with: {command}",
        )
        try:
            reason = host.serve()
        except KeyboardInterrupt:
            tell({"type": "end", "reason": "interrupted"}, "Stopped.")
            return EXIT_INTERRUPTED
    tell({"type": "end", "reason": reason}, f"The virtual {args.kind} has hung up: {reason}.")
    return EXIT_DONE
