"""Packets that arrive a second time, out of order: they are told from losses by bytes and neighbours."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edge_ecg_bridge.bitalino import BitalinoSession
from edge_ecg_bridge.cyton import CytonSession
from edge_ecg_bridge.emulators import BitalinoEmulator, CytonEmulator, GanglionEmulator
from edge_ecg_bridge.emulators.base import Unit
from edge_ecg_bridge.ganglion import GanglionSession
from edge_ecg_bridge.ganglion.packets import Packet
from edge_ecg_bridge.ganglion.replays import ReplayFilter

BOARDS = {
    "cyton": (CytonSession, CytonEmulator, 250.0),
    "bitalino": (BitalinoSession, BitalinoEmulator, 1000.0),
    "ganglion": (GanglionSession, GanglionEmulator, 200.0),
}


class Again:
    """Lets all pass, and behind a packet of every other second one that is ``back`` packets old."""

    def __init__(self, back: int) -> None:
        self.times = 0
        self._past: deque[Unit] = deque(maxlen=back + 1)

    def __call__(self, units: list[Unit], now_s: float) -> list[Unit]:
        out = []
        for unit in units:
            out.append(unit)
            if not unit.samples:
                continue
            self._past.append(unit)
            if len(self._past) == self._past.maxlen and now_s > 3.0 + 2.0 * self.times:
                self.times += 1
                out.append(replace(self._past[0], samples=0))
        return out


PAIRS = {"cyton": (1, 2, 125, 140), "bitalino": (1, 2, 20, 500), "ganglion": (1, 2, 50)}


@pytest.mark.parametrize(("name", "back"), [(name, back) for name, some in PAIRS.items() for back in some])
def test_an_old_packet_is_no_loss(talk: Callable, truth: Callable, ecg: object, name: str, back: int) -> None:
    make, emulator, fs_hz = BOARDS[name]
    session, again = make(), Again(back)
    said = talk(session, emulator(ecg), until_s=9.0, damage=again)
    said.check_order()
    assert again.times == 3
    assert said.lost == 0
    assert session.counters["duplicates"] == 3
    error_mv = np.abs(said.ecg_mv - truth(said.numbers[-1] + 1, fs_hz)[said.numbers])
    assert error_mv.max() < 3e-3  # a step of the coarsest converter


def packet(place: int, data: bytes = b"same") -> Packet:
    return Packet(place, 2 * place, 2, 19, data)


def test_packets_that_are_all_alike_are_not_old_ones() -> None:
    """At a limit of the converter a whole cycle may repeat: a loss is a loss there too."""
    replays = ReplayFilter(100)
    cycle = [packet(place) for place in range(100)]
    passed = [one for sent in cycle for one in replays.push(sent)]
    assert passed == cycle
    assert replays.push(packet(40)) == []  # 0 to 39 were lost
    assert replays.push(packet(41)) == [packet(40), packet(41)]
    assert replays.push(packet(42)) == [packet(42)]
    assert replays.replays == 0


def test_one_that_nothing_follows_comes_out_at_the_end() -> None:
    replays = ReplayFilter(100)
    for place in range(10):
        replays.push(packet(place))
    assert replays.push(packet(3)) == []
    assert replays.flush() == [packet(3)]
    assert replays.flush() == []
