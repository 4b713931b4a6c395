"""Data packets that a Ganglion's host hands out a second time, out of order."""

from __future__ import annotations

from collections import deque

from .packets import Packet


class ReplayFilter:
    """Keeps packets back that came before, while the stream goes on as if they were not there.

    Packet numbers repeat every second, so a packet of half a second ago would else pass for a loss of half a
    second, and the next one for another. A packet out of order that is one of the last cycle's, bit by bit,
    waits for the next: where that follows on the last good packet, the one that waited was old; else it was
    not, as where the inputs are at their limit and all packets are alike.

    Parameters
    ----------
    packets:
        Packets of a cycle.

    Attributes
    ----------
    replays:
        Packets that were thrown away.

    """

    def __init__(self, packets: int) -> None:
        self.replays = 0
        self._packets = packets
        self._recent: deque[Packet] = deque(maxlen=packets)
        self._odd: Packet | None = None

    def push(self, packet: Packet) -> list[Packet]:
        """Take a packet; return what is no replay: nothing, this one, or the one that waited and this one."""
        out: list[Packet] = []
        if self._odd is not None:
            if self._follows(packet):
                self.replays += 1
            else:
                out.append(self._take(self._odd))
            self._odd = None
        if self._follows(packet) or packet not in self._recent:
            out.append(self._take(packet))
        else:
            self._odd = packet
        return out

    def flush(self) -> list[Packet]:
        """Return the packet that waits: none is coming."""
        odd, self._odd = self._odd, None
        return [self._take(odd)] if odd is not None else []

    def _follows(self, packet: Packet) -> bool:
        return bool(self._recent) and packet.place == (self._recent[-1].place + 1) % self._packets

    def _take(self, packet: Packet) -> Packet:
        self._recent.append(packet)
        return packet
