"""Finding out what is behind a port, within three seconds."""

from __future__ import annotations

from collections.abc import Callable

from edge_ecg_bridge.shimmer3 import commands, dock
from edge_ecg_bridge.shimmer3.wire import ACK, Response
from edge_ecg_bridge.stream import BridgeError, show_bytes
from edge_ecg_bridge.text import LineSplitter, parse_line

from .transport import Transport

LIMIT_S = 3.0
# When what is asked: first listen, then stop a Shimmer that may be streaming, ask what it is, ask a dock.
_QUESTIONS = (
    (0.3, commands.stop_streaming()),
    (0.5, commands.get_hardware()),
    (0.8, commands.get_hardware()),
    (1.1, dock.GET_VERSION),
)
_OTHER_BAUDS = ((1.5, 9600), (2.0, 57600), (2.5, 230400))
_POLL_S = 0.05
_ENOUGH_LINES = 5
_ENOUGH_BYTES = 16
_SHIMMER_ANSWER = bytes((ACK, Response.HARDWARE))


def find_kind(transport: Transport, set_baud: Callable[[int], None] | None = None) -> str:
    """Return the kind of the device behind ``transport``.

    Parameters
    ----------
    transport:
        Open, at the usual baud rate or the one that the user gave.
    set_baud:
        Changes the baud rate; None where it is not to be tried.

    Raises
    ------
    BridgeError
        When it is a Shimmer's dock, silent, or nothing known: what was seen, and what to do.
    TransportLostError
        When it goes away.

    """
    begin_s = transport.now()
    questions = list(_QUESTIONS)
    bauds = list(_OTHER_BAUDS) if set_baud else []
    tried = ["115200" if set_baud else "the given"]
    seen, recent = bytearray(), bytearray()
    while (elapsed_s := transport.now() - begin_s) < LIMIT_S:
        if questions and elapsed_s >= questions[0][0]:
            transport.write(questions.pop(0)[1])
        if bauds and elapsed_s >= bauds[0][0]:
            _, baud = bauds.pop(0)
            if len(recent) >= _ENOUGH_BYTES and set_baud:  # bytes come, and make no sense
                set_baud(baud)
                tried.append(str(baud))
            recent.clear()
        data = transport.read(_POLL_S)
        seen = (seen + data)[-4096:]
        recent = (recent + data)[-4096:]
        if len(questions) <= 2 and _SHIMMER_ANSWER in seen:
            return "shimmer3"
        if _is_text(bytes(recent)):
            return "text"
        if not questions and (found := dock.find_version(bytes(seen))) is not None:
            raise dock.problem(found)
    raise _unknown(bytes(seen), bytes(recent), tried)


def _is_text(data: bytes) -> bool:
    lines = LineSplitter().feed(data)[-2 * _ENOUGH_LINES :]
    return sum(parse_line(line) is not None for line in lines) >= _ENOUGH_LINES


def _unknown(seen: bytes, recent: bytes, tried: list[str]) -> BridgeError:
    if not seen:
        return BridgeError(
            "Nothing answers on this port.",
            why=f"No byte came in {LIMIT_S:g} s, also when it was asked as a Shimmer3 is.",
            remedy="Switch the device on. A Shimmer sends over Bluetooth, never through its dock: pair it, "
            "sudo rfcomm bind 0 ADDRESS, and give --port /dev/rfcomm0.",
        )
    return BridgeError(
        "What is behind this port is no device that edge-ecg knows.",
        why=f"It sent {show_bytes(recent or seen)} at {', '.join(tried)} baud.",
        remedy="Give its baud rate (?baud=9600 after the port), or its kind (--device shimmer3 or text).",
    )
