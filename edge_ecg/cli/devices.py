"""``edge-ecg devices``: what is plugged in or in range, and what to type next."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import asdict

from ..discovery import SCAN_S, FoundPort, Nearby, find_nearby, find_serial_ports
from ..errors import EXIT_DONE
from ..sinks.lines import shown
from .numbers import seconds_or_none


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "--scan",
        type=seconds_or_none,
        default=SCAN_S,
        metavar="SECONDS",
        help=f"how long to listen for Bluetooth and LSL (default: {SCAN_S:g}; 0: not at all)",
    )
    parser.epilog = "The first column is the address to give to --port; nothing is opened, no board is reset."


def run(args: argparse.Namespace) -> int:
    """List what was found and return the exit code."""
    ports, nearby = find_serial_ports(), find_nearby(args.scan)
    if args.json:
        for line in _objects(ports, nearby):
            print(json.dumps(line, ensure_ascii=False))
    else:
        print("\n".join(_table(ports, nearby)))
        print(_next_step(ports, nearby), file=sys.stderr)
    return EXIT_DONE


def _objects(ports: list[FoundPort], nearby: Nearby) -> Iterator[dict[str, object]]:
    for port in ports:
        yield {"type": "serial", **asdict(port), "port": port.address}
    for device in (*nearby.paired, *(nearby.scan.devices if nearby.scan else ())):
        yield {"type": "bluetooth", **asdict(device)}
    # "type" is also what an LSL stream calls its content.
    for stream in nearby.lsl.streams if nearby.lsl else ():
        values = asdict(stream)
        yield {"type": "lsl", "stream_type": values.pop("type"), **values}
    for name, scan in (("bluetooth", nearby.scan), ("lsl", nearby.lsl)):
        if scan is not None and scan.reason:
            yield {"type": f"no {name}", "reason": scan.reason, "remedy": scan.remedy}


def _rows(ports: list[FoundPort], nearby: Nearby) -> Iterator[tuple[str, str]]:
    for port in ports:
        yield port.address, port.description
    for device in (*nearby.paired, *(nearby.scan.devices if nearby.scan else ())):
        name = f" {device.name}" if device.name and device.name not in device.port else ""
        signal = "" if device.rssi_dbm is None else f", {device.rssi_dbm} dBm"
        yield device.port, f"{device.description or 'Bluetooth LE'}{name}{signal}"
    for stream in nearby.lsl.streams if nearby.lsl else ():
        rate = f"{stream.nominal_hz:g} Hz" if stream.nominal_hz else "no fixed rate"
        kind = stream.type or "no type"
        yield stream.port, f"LSL stream ({kind}, {stream.channels} channels, {rate}) on {stream.host}"


def _table(ports: list[FoundPort], nearby: Nearby) -> list[str]:
    # Whoever is in radio range chooses such a name.
    rows = [(shown(address), shown(description)) for address, description in _rows(ports, nearby)]
    width = max((len(address) for address, _ in rows), default=0)
    lines = [f"{address:<{width}}  {description}" for address, description in rows]
    if not ports:
        lines.append("No serial port: nothing is plugged in, and no Bluetooth device is bound to a port.")
    if nearby.scan is not None and nearby.scan.reason:
        lines.append(f"No Bluetooth: {nearby.scan.reason}\n  try: {nearby.scan.remedy}")
    elif nearby.scan is not None and not nearby.scan.devices:
        lines.append("No Bluetooth device advertises itself nearby.")
    if nearby.lsl is not None and nearby.lsl.reason:
        lines.append(f"No LSL: {nearby.lsl.reason}\n  try: {nearby.lsl.remedy}")
    return lines


def _next_step(ports: list[FoundPort], nearby: Nearby) -> str:
    """The command for the first thing that streams an ECG, as far as one can tell from outside."""
    for port in ports:
        if port.streams:
            return f"Next: edge-ecg run --port {shlex.quote(port.address)}"
    for one in (*nearby.paired, *nearby.heard):
        if one.streams:
            return f"Next: edge-ecg run --port {shlex.quote(shown(one.port))}"
    return "Next: edge-ecg run --demo   (a simulated Shimmer3; needs no device)"
