"""``edge-ecg devices``: what is plugged in or in range, and what to type next."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from ..discovery import (
    BluetoothScan,
    FoundBluetooth,
    FoundPort,
    FoundStream,
    StreamScan,
    find_bluetooth,
    find_paired,
    find_serial_ports,
    find_streams,
)
from ..errors import EXIT_DONE

_SCAN_S = 4.0
_LSL_S = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "--scan",
        type=float,
        default=_SCAN_S,
        metavar="SECONDS",
        help=f"how long to listen for Bluetooth and LSL (default: {_SCAN_S:g}; 0: not at all)",
    )
    parser.epilog = "The first column is the address to give to --port; nothing is opened, no board is reset."


@dataclass(frozen=True, slots=True)
class _Found:
    """All that was found; None for what was not looked for."""

    ports: list[FoundPort]
    paired: tuple[FoundBluetooth, ...]
    scan: BluetoothScan | None
    lsl: StreamScan | None


def run(args: argparse.Namespace) -> int:
    """List what was found and return the exit code."""
    found = _look(args.scan)
    if args.json:
        for line in _objects(found):
            print(json.dumps(line, ensure_ascii=False))
    else:
        print("\n".join(_table(found)))
        print(_next_step(found), file=sys.stderr)
    return EXIT_DONE


def _look(scan_s: float) -> _Found:
    ports = find_serial_ports()
    if scan_s <= 0:
        return _Found(ports, (), None, None)
    with ThreadPoolExecutor(2) as pool:  # side by side: none of them needs the processor
        lsl = pool.submit(find_streams, min(scan_s, _LSL_S))
        paired = pool.submit(find_paired)
        scan = find_bluetooth(scan_s)
        return _Found(ports, paired.result(), scan, lsl.result())


def _objects(found: _Found) -> Iterator[dict[str, object]]:
    for port in found.ports:
        yield {"type": "serial", **asdict(port), "port": port.address}
    for device in (*found.paired, *(found.scan.devices if found.scan else ())):
        yield {"type": "bluetooth", **asdict(device)}
    # "type" is also what an LSL stream calls its content.
    for stream in found.lsl.streams if found.lsl else ():
        values = asdict(stream)
        yield {"type": "lsl", "stream_type": values.pop("type"), **values}
    for name, scan in (("bluetooth", found.scan), ("lsl", found.lsl)):
        if scan is not None and scan.reason:
            yield {"type": f"no {name}", "reason": scan.reason, "remedy": scan.remedy}


def _rows(found: _Found) -> Iterator[tuple[str, str]]:
    for port in found.ports:
        yield port.address, port.description
    for device in (*found.paired, *(found.scan.devices if found.scan else ())):
        name = f" {device.name}" if device.name and device.name not in device.port else ""
        signal = "" if device.rssi_dbm is None else f", {device.rssi_dbm} dBm"
        yield device.port, f"{device.description or 'Bluetooth LE'}{name}{signal}"
    for stream in found.lsl.streams if found.lsl else ():
        rate = f"{stream.nominal_hz:g} Hz" if stream.nominal_hz else "no fixed rate"
        kind = stream.type or "no type"
        yield stream.port, f"LSL stream ({kind}, {stream.channels} channels, {rate}) on {stream.host}"


def _table(found: _Found) -> list[str]:
    rows = list(_rows(found))
    width = max((len(address) for address, _ in rows), default=0)
    lines = [f"{address:<{width}}  {description}" for address, description in rows]
    if not found.ports:
        lines.append("No serial port: nothing is plugged in, and no Bluetooth device is bound to a port.")
    if found.scan is not None and found.scan.reason:
        lines.append(f"No Bluetooth: {found.scan.reason}\n  try: {found.scan.remedy}")
    elif found.scan is not None and not found.scan.devices:
        lines.append("No Bluetooth device advertises itself nearby.")
    if found.lsl is not None and found.lsl.reason:
        lines.append(f"No LSL: {found.lsl.reason}\n  try: {found.lsl.remedy}")
    return lines


def _next_step(found: _Found) -> str:
    """The command for the first thing that streams an ECG, as far as one can tell from outside."""
    for port in found.ports:
        if port.streams:
            return f"Next: edge-ecg run --port {shlex.quote(port.address)}"
    others: list[FoundBluetooth | FoundStream] = [*found.paired]
    others += found.scan.devices if found.scan else ()
    others += found.lsl.streams if found.lsl else ()
    for one in others:
        if one.streams:
            return f"Next: edge-ecg run --port {shlex.quote(one.port)}"
    return "Next: edge-ecg run --demo   (a simulated Shimmer3; needs no device)"
