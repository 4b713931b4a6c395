"""``edge-ecg devices``: what is plugged in or in radio range, and what to type next."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from ..discovery import BluetoothScan, FoundPort, find_bluetooth, find_serial_ports
from ..errors import EXIT_DONE

_SCAN_S = 4.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "--scan",
        type=float,
        default=_SCAN_S,
        metavar="SECONDS",
        help=f"how long to listen for Bluetooth (default: {_SCAN_S:g}; 0: not at all)",
    )


def run(args: argparse.Namespace) -> int:
    """List what was found and return the exit code."""
    ports = find_serial_ports()
    scan = find_bluetooth(args.scan) if args.scan > 0 else None
    if args.json:
        for line in _objects(ports, scan):
            print(json.dumps(line, ensure_ascii=False))
    else:
        print("\n".join(_table(ports, scan)))
        print(_next_step(ports), file=sys.stderr)
    return EXIT_DONE


def _objects(ports: list[FoundPort], scan: BluetoothScan | None) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = [{"type": "serial", **asdict(port)} for port in ports]
    if scan is not None:
        lines += [{"type": "bluetooth", **asdict(device)} for device in scan.devices]
        if scan.reason:
            lines.append({"type": "no bluetooth", "reason": scan.reason, "remedy": scan.remedy})
    return lines


def _table(ports: list[FoundPort], scan: BluetoothScan | None) -> list[str]:
    rows = [(port.address, port.description) for port in ports]
    if scan is not None:
        rows += [
            (
                f"{device.name} {device.address}",
                f"{device.description or 'Bluetooth LE'}, {device.rssi_dbm} dBm",
            )
            for device in scan.devices
        ]
    width = max((len(address) for address, _ in rows), default=0)
    lines = [f"{address:<{width}}  {description}" for address, description in rows]
    if not ports:
        lines.append("No serial port: nothing is plugged in, and no Bluetooth device is bound to a port.")
    if scan is not None and scan.reason:
        lines.append(f"No Bluetooth: {scan.reason}\n  try: {scan.remedy}")
    elif scan is not None and not scan.devices:
        lines.append("No Bluetooth device advertises itself nearby.")
    return lines


def _next_step(ports: list[FoundPort]) -> str:
    usable = [port for port in ports if port.streams]
    if usable:
        return f"Next: edge-ecg run --port {usable[0].address}"
    return "Next: edge-ecg run --demo   (a simulated Shimmer3; needs no device)"
