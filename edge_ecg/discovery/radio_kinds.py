"""What a Bluetooth device most likely is, by the name and the services that it advertises."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

_BASE = "-0000-1000-8000-00805f9b34fb"


@dataclass(frozen=True, slots=True)
class RadioKind:
    """One row of the table.

    Attributes
    ----------
    description:
        For a person.
    kind:
        What ``--device`` calls it; None where that is found out when it is opened, or it measures no ECG.
    name:
        Beginning of its name, in lower case; empty where only the services tell.
    services:
        UUIDs of which it advertises one.
    measures_ecg:
        Whether it does.

    """

    description: str
    kind: str | None
    name: str = ""
    services: frozenset[str] = frozenset()
    measures_ecg: bool = True


def _services(*uuids: str) -> frozenset[str]:
    return frozenset(uuid if "-" in uuid else f"0000{uuid}{_BASE}" for uuid in uuids)


# The first row that fits counts. A name is surer than a service: boards of every kind offer a UART.
_TABLE = (
    RadioKind("Polar H10 chest strap", "polar-h10", "polar h10"),
    RadioKind(
        "Polar sensor without ECG: of them only the H10 measures it", None, "polar", measures_ecg=False
    ),
    RadioKind("Movesense sensor", "movesense", "movesense"),
    RadioKind("Shimmer3R", "shimmer3", "shimmer3r"),
    RadioKind("Shimmer3", "shimmer3", "shimmer3"),
    RadioKind("OpenBCI Ganglion", "ganglion", "ganglion"),
    RadioKind("BITalino", "bitalino", "bitalino"),
    RadioKind(
        "Movesense sensor", "movesense", services=_services("fdf3", "34802252-7185-4d5d-b431-630e7050e8f0")
    ),
    RadioKind("Shimmer3R", "shimmer3", services=_services("65333333-a115-11e2-9e9a-0800200ca100")),
    RadioKind("Shimmer3", "shimmer3", services=_services("49535343-fe7d-4ae5-8fa9-9fafd205e455")),
    RadioKind("OpenBCI Ganglion", "ganglion", services=_services("fe84")),
    RadioKind("board with a Nordic UART", None, services=_services("6e400001-b5a3-f393-e0a9-e50e24dcca9e")),
    RadioKind(
        "heart rate sensor: beats, most likely no ECG", None, services=_services("180d"), measures_ecg=False
    ),
)


def guess_radio(name: str, services: Collection[str] = ()) -> RadioKind | None:
    """Return what a device most likely is; None when nothing is known of it.

    Parameters
    ----------
    name:
        As advertised; may be empty.
    services:
        Full UUIDs, upper or lower case.

    """
    offered = {uuid.lower() for uuid in services}
    for row in _TABLE:
        if (row.name and name.lower().startswith(row.name)) or row.services & offered:
            return row
    return None
