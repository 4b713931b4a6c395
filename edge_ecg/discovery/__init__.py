"""What is plugged in or in radio range, what it most likely is, and the address to give to ``--port``."""

from .bluetooth import (
    BluetoothScan,
    FoundBluetooth,
    bluetooth_failure,
    find_bluetooth,
    find_paired,
)
from .holders import who_holds
from .nearby import SCAN_S, Nearby, find_nearby
from .radio_kinds import RadioKind, guess_radio
from .serial_ports import FoundPort, find_serial_ports
from .streams import FoundStream, StreamScan, find_streams

__all__ = [
    "SCAN_S",
    "BluetoothScan",
    "FoundBluetooth",
    "FoundPort",
    "FoundStream",
    "Nearby",
    "RadioKind",
    "StreamScan",
    "bluetooth_failure",
    "find_bluetooth",
    "find_nearby",
    "find_paired",
    "find_serial_ports",
    "find_streams",
    "guess_radio",
    "who_holds",
]
