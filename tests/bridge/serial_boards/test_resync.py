"""Four hundred random cuts of a noisy ECG with an offset: no wrong lock, nothing damaged passes a check."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ecg_bridge.bitalino import wire as bitalino
from edge_ecg_bridge.counting import CountedFramer
from edge_ecg_bridge.cyton.packets import CytonFramer
from edge_ecg_bridge.emulators import BitalinoEmulator, CytonEmulator, OpenViewEmulator
from edge_ecg_bridge.openview.frames import OpenViewFramer
from edge_ecg_bridge.synthetic import SyntheticEcg

CUTS = 400
PACKETS = 60
NOISY = SyntheticEcg(seed=11, noise_mv=0.2, wander_mv=0.5)


def cyton_stream() -> list[bytes]:
    board = CytonEmulator(NOISY, electrode_offset_mv=90.0)
    board.receive(b"vb", 0.0)
    return [unit.data for unit in board.units(120.0) if unit.samples]


def bitalino_stream(channels: tuple[int, ...]) -> list[bytes]:
    board = BitalinoEmulator(NOISY, electrode_offset_mv=0.3)
    board.receive(bitalino.rate_command(1000) + bitalino.start_command(channels), 0.0)
    return [unit.data for unit in board.units(40.0)]


def openview_stream() -> list[bytes]:
    board = OpenViewEmulator(NOISY)
    board.units(0.0)
    return [unit.data for unit in board.units(240.0)]


def cut_at_random(
    packets: list[bytes], rng: np.random.Generator, *, within: int
) -> tuple[bytes, set[bytes], int, int]:
    """Return a stretch without some bytes, the packets it came from, the cut, where it is whole again."""
    begin = int(rng.integers(0, len(packets) - PACKETS))
    stretch = packets[begin : begin + PACKETS]
    data, size = b"".join(stretch), len(stretch[0])
    first = int(rng.integers(size * 10, size * 20))
    cut = int(rng.integers(1, within))
    return data[:first] + data[first + cut :], set(stretch), cut, -(-(first + cut) // size)


def passes(framer: CountedFramer, data: bytes) -> list[bytes]:
    return [row.tobytes() for found in [*framer.feed(data), *framer.flush()] for row in found.rows]


@pytest.mark.parametrize("chunk", [7, 10_000])
def test_cyton(chunk: int) -> None:
    """Without a check sum: only a cut of whole packets' lengths leaves something that nothing tells apart."""
    packets, rng = cyton_stream(), np.random.default_rng(1)
    wrong = aligned = late = 0
    for _ in range(CUTS):
        data, real, cut, whole_again = cut_at_random(packets, rng, within=33 * 12)
        framer = CytonFramer()
        found = [p for at in range(0, len(data), chunk) for p in passes_now(framer, data[at : at + chunk])]
        found += [row.tobytes() for some in framer.flush() for row in some.rows]
        damaged = [packet for packet in found if packet not in real]
        assert len(damaged) <= (cut % 33 == 0)
        aligned += len(damaged)
        wrong += any(packet not in real for packet in found[-30:])
        late += len(found) < PACKETS - (whole_again - 10) - 1
    assert wrong == 0
    assert late == 0
    assert aligned <= CUTS / 33 * 2


def passes_now(framer: CountedFramer, data: bytes) -> list[bytes]:
    return [row.tobytes() for found in framer.feed(data) for row in found.rows]


@pytest.mark.parametrize("channels", [(2,), (1, 2), (1, 2, 3, 4), (1, 2, 3, 4, 5, 6)])
def test_bitalino(channels: tuple[int, ...]) -> None:
    """Cuts of less than a turn of the sequence number: four bits of CRC and the number let nothing pass."""
    packets, rng = bitalino_stream(channels), np.random.default_rng(2)
    for _ in range(CUTS):
        data, real, _, whole_again = cut_at_random(packets, rng, within=len(packets[0]) * 15)
        found = passes(bitalino.BitalinoFramer(len(channels)), data)
        assert [packet for packet in found if packet not in real] == []
        assert found[-1] == packets_end(data, len(packets[0]))
        assert len(found) >= PACKETS - (whole_again - 10) - 4


def packets_end(data: bytes, size: int) -> bytes:
    return data[-size:]


def test_openview() -> None:
    """Header, length, type and end are seven fixed bytes; as with the Cyton, whole lengths tell nothing."""
    packets, rng = openview_stream(), np.random.default_rng(3)
    for _ in range(CUTS):
        data, real, cut, whole_again = cut_at_random(packets, rng, within=15 * 12)
        found = [row.tobytes() for frames in OpenViewFramer().feed(data) for row in frames.rows]
        assert len([packet for packet in found if packet not in real]) <= (cut % 15 == 0)
        assert len(found) >= PACKETS - (whole_again - 10) - 1
