"""What has no port of its own: Bluetooth devices, paired or in range, and LSL streams; all at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .bluetooth import BluetoothScan, FoundBluetooth, find_bluetooth, find_paired
from .streams import FoundStream, StreamScan, find_streams

SCAN_S = 4.0
_LSL_S = 1.0


@dataclass(frozen=True, slots=True)
class Nearby:
    """What was found; None for what was not looked for."""

    paired: tuple[FoundBluetooth, ...] = ()
    scan: BluetoothScan | None = None
    lsl: StreamScan | None = None

    @property
    def heard(self) -> tuple[FoundBluetooth | FoundStream, ...]:
        """What is there at this moment: advertising devices and streams."""
        return (*(self.scan.devices if self.scan else ()), *(self.lsl.streams if self.lsl else ()))


def find_nearby(scan_s: float = SCAN_S) -> Nearby:
    """Look for so many seconds, and no longer than for a second for LSL; nothing is opened."""
    if scan_s <= 0:
        return Nearby()
    with ThreadPoolExecutor(2) as pool:  # side by side: none of them needs the processor
        lsl = pool.submit(find_streams, min(scan_s, _LSL_S))
        paired = pool.submit(find_paired)
        scan = find_bluetooth(scan_s)
        return Nearby(paired.result(), scan, lsl.result())
