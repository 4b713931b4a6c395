"""``edge-ecg simulate``: a virtual device that other programs can open."""

from __future__ import annotations

import argparse
import json
import shlex
from typing import TYPE_CHECKING, Any

from ..errors import EXIT_DONE, EXIT_INTERRUPTED, UsageError
from .numbers import seconds, seconds_or_none

if TYPE_CHECKING:
    from ..sources.hosting import Host
    from ..sources.virtual import VirtualDevice

_LINES = ("adc", "ms,adc", "us,adc", "mv")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("kind", nargs="?", metavar="KIND", help="the device to be: shimmer3, text, ...")
    parser.add_argument(
        "--from", dest="recording", metavar="ADDRESS", help="file:PATH: what it measures; else synthetic ECG"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--ble", action="store_true", help="on a virtual Bluetooth radio instead")
    where.add_argument("--pty", metavar="LINK", help="a name for the port; left out: the one it gets")
    where.add_argument(
        "--tcp", type=int, metavar="PORT", help="a TCP port of this machine instead; 0: any that is free"
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[@SECONDS[:DURATION]]",
        help="what goes wrong, as often as you like; --list-faults tells what there is",
    )
    parser.add_argument("--list-faults", action="store_true", help="say what each fault is, and end")
    parser.add_argument(
        "--story", default="rest-stress", help="of the synthetic ECG: a name, or rest:60,stress:90"
    )
    parser.add_argument("--hr", type=seconds, metavar="BPM", help="one heart rate instead of a story")
    parser.add_argument("--hrv", type=seconds_or_none, metavar="MS", help="its variability (SDNN)")
    parser.add_argument(
        "--noise", type=seconds_or_none, default=0.01, metavar="MV", help="white noise of the synthetic ECG"
    )
    parser.add_argument(
        "--rate", type=seconds, default=250.0, metavar="HZ", help="of a text board (default: 250)"
    )
    parser.add_argument("--line", choices=_LINES, default="us,adc", help="what a text board prints")
    parser.add_argument("--firmware", default="0.15.4", help="of a Shimmer (default: 0.15.4)")
    parser.add_argument(
        "--speed", type=seconds, default=1.0, metavar="N", help="times real time (default: 1)"
    )
    parser.add_argument("--loop", action="store_true", help="begin the recording again when it is over")
    parser.add_argument("--seed", type=_seed, default=0, help="of everything random (default: 0)")
    parser.epilog = (
        "Example: edge-ecg simulate shimmer3 --from file:rec.edf --fault bit-flip --pty /tmp/ecg, then, "
        "elsewhere: edge-ecg run --port /tmp/ecg"
    )


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 on, not {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Serve the device until its recording is over or the user ends it."""
    if args.list_faults:
        return _list_faults(args.kind, as_json=args.json)
    _require_kind(args.kind)

    def tell(record: dict[str, Any], sentence: str) -> None:
        print(json.dumps(record) if args.json else sentence, flush=True)

    def changed(what: str) -> None:
        tell({"type": "event", "event": what}, f"The port was {what}.")
        if what == "plugged in" and host.port != port:
            announce()

    def announce() -> None:
        command = getattr(host, "command", f"edge-ecg run --port {shlex.quote(host.port)}{named}")
        tell(
            {"type": "port", "port": host.port, "device": args.kind, "command": command},
            f"A virtual {args.kind} is at {host.port}. Open it with: {command}",
        )

    from ..sources.virtual import VIRTUAL_KINDS

    # On a port nobody asks for what speaks Bluetooth LE alone: it has to be named there.
    named = f" --device {VIRTUAL_KINDS[args.kind].device}" if VIRTUAL_KINDS[args.kind].radio else ""
    with _host(args, _device(args), changed) as host:
        port = host.port
        announce()
        try:
            reason = host.serve()
        except KeyboardInterrupt:
            tell({"type": "end", "reason": "interrupted"}, "Stopped.")
            return EXIT_INTERRUPTED
    tell({"type": "end", "reason": reason}, f"The virtual {args.kind} has hung up: {reason}.")
    return EXIT_DONE


def _device(args: argparse.Namespace) -> VirtualDevice:
    from edge_ecg_bridge.emulators import Signal

    from ..sources.recording_signal import RecordingSignal
    from ..sources.virtual import VirtualDevice, parse_faults, synthetic_signal

    signal: Signal = synthetic_signal(args.story, args.hr, args.seed, sdnn_ms=args.hrv, noise_mv=args.noise)
    if args.recording is not None:
        recording = RecordingSignal.parse(args.recording)
        recording.check()
        signal = recording
    return VirtualDevice(
        args.kind,
        signal,
        firmware=args.firmware,
        fs_hz=args.rate,
        line=args.line,
        loop=args.loop,
        seed=args.seed,
        faults=parse_faults(",".join(args.fault)),
    )


def _host(args: argparse.Namespace, device: VirtualDevice, changed: Any) -> Host:
    if args.ble:
        from ..sources.virtual_radio import BleHost

        return BleHost(device.build(), speed=args.speed, on_change=changed)
    if args.tcp is not None:
        from ..sources.tcp_host import TcpHost

        return TcpHost(device.build(), tcp_port=args.tcp, speed=args.speed, on_change=changed)
    from ..sources.pty_host import PtyHost

    return PtyHost(device.build(), link=args.pty, speed=args.speed, on_change=changed)


def _require_kind(kind: str | None) -> None:
    from ..sources.virtual import VIRTUAL_KINDS

    if kind not in VIRTUAL_KINDS:
        raise UsageError(
            "Which device is to be simulated?" if kind is None else f"There is no virtual device {kind!r}.",
            remedy=f"Choose one of {', '.join(VIRTUAL_KINDS)}.",
        )


def _list_faults(kind: str | None, *, as_json: bool) -> int:
    from edge_ecg_bridge.faults import FAULTS

    from ..sources.virtual import VIRTUAL_KINDS, faults_of

    if kind is not None:
        _require_kind(kind)
    kinds = {name: faults_of(name) for name in VIRTUAL_KINDS}
    for name, fault in FAULTS.items():
        if kind is not None and name not in kinds[kind]:
            continue
        if as_json:
            able = [each for each in kinds if name in kinds[each]]
            record = {"type": "fault", "name": name, "layer": str(fault.layer), "is": fault.sentence}
            print(json.dumps(record | {"devices": able}))
        else:
            print(f"{name:18} {fault.sentence}")
    return EXIT_DONE
