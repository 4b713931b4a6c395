"""Finding out what is behind a port, within three seconds.

Nothing here knows a device: :mod:`edge_ecg.sources.probes` is the table of what to ask and what to look for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge_ecg_bridge.stream import BridgeError, show_bytes

from .probes import PROBES, Probe
from .transport import Transport

LIMIT_S = 3.0
# Where bytes come and make no sense, these are tried; the first is what the port was opened at.
_SPEEDS = (115200, 57600, 9600, 230400)
# A Shimmer that was left streaming makes no sense either until it was told to stop and asked.
_FIRST_CHANGE_S = 1.0
# Long enough for ten lines of the slowest board, and for all four speeds to have their turn.
_DWELL_S = 0.35
_ENOUGH_BYTES = 16
_KEPT = 4096
_POLL_S = 0.05
_TEXT_SHARE = 0.9


def find_kind(
    transport: Transport,
    set_baud: Callable[[int], None] | None = None,
    probes: Sequence[Probe] = PROBES,
) -> str:
    """Return the kind of the device behind ``transport``, which is left at the speed at which it was found.

    Parameters
    ----------
    transport:
        Open, at the usual baud rate or the one that the user gave.
    set_baud:
        Changes the baud rate; None where it is not to be tried.
    probes:
        What can be found.

    Raises
    ------
    BridgeError
        When it is a Shimmer's dock, silent, or nothing known: what was seen, and what to do.
    TransportLostError
        When it goes away.

    """
    return _Search(transport, set_baud, probes).run()


class _Questions:
    """One probe's questions, and what was heard since the first of them."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self._due = [(ask.at_s, ask.data, False) for ask in probe.prepare]
        self._due += [(ask.at_s, ask.data, True) for ask in probe.asks]
        self._asked = False
        self._heard = b""

    def due(self, elapsed_s: float) -> bytes | None:
        """Return what is to be sent now, once."""
        if not self._due or elapsed_s < self._due[0][0]:
            return None
        _, data, asks = self._due.pop(0)
        self._asked = self._asked or asks
        return data

    def hear(self, data: bytes) -> BridgeError | str | None:
        """Take bytes; return the kind when they answer, or the problem that it is."""
        if not self._asked or self.probe.answers is None or not data:
            return None
        self._heard = (self._heard + data)[-_KEPT:]
        if not self.probe.answers(self._heard):
            return None
        return self.probe.problem(self._heard) if self.probe.problem else self.probe.kind


class _Search:
    def __init__(
        self, transport: Transport, set_baud: Callable[[int], None] | None, probes: Sequence[Probe]
    ) -> None:
        self._transport = transport
        self._set_baud = set_baud
        self._probes = probes
        self._questions = [_Questions(probe) for probe in probes]
        self._begin_s = transport.now()
        self._seen = b""
        # What came at the present speed, and when the first of it did.
        self._recent = b""
        self._since_s: float | None = None
        self._speed = 0
        self._tried = [str(_SPEEDS[0])] if set_baud else ["the given"]

    def run(self) -> str:
        while (elapsed_s := self._elapsed_s()) < LIMIT_S - _POLL_S:  # the last read still ends in time
            self._ask(elapsed_s)
            self._change_speed(elapsed_s)
            data = self._transport.read(_POLL_S)
            if not data:
                continue
            self._since_s = self._elapsed_s() if self._since_s is None else self._since_s
            self._seen = (self._seen + data)[-_KEPT:]
            self._recent = (self._recent + data)[-_KEPT:]
            if (kind := self._recognise(data)) is not None:
                return kind
        raise self._unknown()

    def _elapsed_s(self) -> float:
        return self._transport.now() - self._begin_s

    def _ask(self, elapsed_s: float) -> None:
        for questions in self._questions:
            data = questions.due(elapsed_s)
            # At another speed than the usual one a question would arrive as something else.
            if data and self._speed == 0:
                self._transport.write(data)

    def _change_speed(self, elapsed_s: float) -> None:
        if (
            self._set_baud is None
            or self._since_s is None
            or elapsed_s < _FIRST_CHANGE_S
            or elapsed_s - self._since_s < _DWELL_S
            or len(self._recent) < _ENOUGH_BYTES
            or _reads_as_text(self._recent)
        ):
            return
        self._speed = (self._speed + 1) % len(_SPEEDS)
        self._set_baud(_SPEEDS[self._speed])
        if str(_SPEEDS[self._speed]) not in self._tried:
            self._tried.append(str(_SPEEDS[self._speed]))
        self._recent, self._since_s = b"", None

    def _recognise(self, data: bytes) -> str | None:
        for probe in self._probes:
            if probe.streams is not None and probe.streams(self._recent):
                return probe.kind
        for questions in self._questions:
            found = questions.hear(data)
            if isinstance(found, BridgeError):
                raise found
            if found is not None:
                return found
        return None

    def _unknown(self) -> BridgeError:
        if not self._seen:
            return BridgeError(
                "Nothing answers on this port.",
                why=f"No byte came in {LIMIT_S:g} s, also when it was asked as each kind of device is.",
                remedy="Switch the device on. A Shimmer sends over Bluetooth, never through its dock: pair "
                "it, and give --port bt:ADDRESS (or sudo rfcomm bind 0 ADDRESS, and --port /dev/rfcomm0).",
            )
        return BridgeError(
            "What is behind this port is no device that edge-ecg knows.",
            why=f"It sent {show_bytes(self._recent or self._seen)} at {', '.join(self._tried)} baud.",
            remedy="Give its baud rate (?baud=9600 after the port), or its kind (--device shimmer3 or text).",
        )


def _reads_as_text(data: bytes) -> bool:
    """Whether the speed is right: a board that is still telling its name, or prints what is no ECG."""
    printable = sum(32 <= byte < 127 or byte in b"\r\n\t" for byte in data)
    return printable >= _TEXT_SHARE * len(data)
