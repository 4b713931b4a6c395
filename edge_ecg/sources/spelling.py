"""Whether an address can be opened at all, as far as its words tell: nothing is opened or looked for."""

from __future__ import annotations

from .address import Address
from .transport import Transport


def require_openable(address: Address) -> None:
    """Refuse an address that no device in the world would make right.

    What stands in a recording, or hangs on the kind of device that is found, shows only when it is opened.

    Raises
    ------
    UsageError
        When a part of it is missing or misspelled, or it carries an option or a value that nobody reads.

    """
    match address.scheme:
        case "bt":
            from .rfcomm import split_rfcomm

            _check_options(split_rfcomm(address)[2])
        case "socket":
            from .socket_port import host_and_port

            host_and_port(address)
            _check_options(address, own=frozenset(("baud",)))
        case "serial" | "rfc2217":
            _check_options(address, has_speed=True)
        case "ble":
            from .ble import BleDoor

            BleDoor(address)
        case "lsl":
            from .lsl import LslDoor

            LslDoor(address)
        case "sim":
            from .simulated import open_simulated

            if "from" not in address.options:  # a recording may be put there later
                open_simulated(address).close()


def _check_options(address: Address, *, own: frozenset[str] = frozenset(), has_speed: bool = False) -> None:
    from .opening import ByteStreamDoor

    ByteStreamDoor(address, _never, name=str(address), own_options=own, has_speed=has_speed)


def _never(baud: int, rescan: bool) -> Transport:
    raise AssertionError("nothing is opened here")
