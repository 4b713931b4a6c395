"""Packets out of a damaged stream: right values at right numbers, and every loss counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg_bridge.shimmer3.crc import seal
from edge_ecg_bridge.shimmer3.packets import PacketFramer, PacketLayout, PacketRun
from edge_ecg_bridge.shimmer3.replies import Ack, Status

CHANNELS = (0x1D, 0x1E, 0x1F, 0x20, 0x21, 0x22)
LAYOUT = PacketLayout.of(CHANNELS)
TICKS = 128
STATUS = bytes.fromhex("FF 8A 71 33")


def make_packets(n: int, *, crc_bytes: int = 0, stamp0: int = 0x3A5580, seed: int = 0) -> list[bytes]:
    """ECG with noise and a small offset, written here field by field: its sign bytes look like headers."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / 256
    wave = (
        900
        + 12000 * np.exp(-(((t % 0.8) - 0.4) ** 2) / 2e-4)
        + 800 * np.sin(2 * np.pi * t)
        + rng.normal(0, 150, n)
    )
    packets = []
    for i, value in enumerate(wave.round().astype(int).tolist()):
        body = b"\0" + ((stamp0 + i * TICKS) % 2**24).to_bytes(3, "little")
        body += b"\x80" + value.to_bytes(3, "big", signed=True) + (value // 2).to_bytes(3, "big", signed=True)
        body += b"\x80" + bytes(3) + (value * 4 // 5).to_bytes(3, "big", signed=True)
        packets.append(seal(body, crc_bytes))
    return packets


@dataclass
class Received:
    """What a framer made of a stream, checked against what was sent."""

    found: dict[int, bytes]
    gaps: int
    others: list[Status | Ack]
    framer: PacketFramer

    def wrong(self, sent: list[bytes]) -> list[int]:
        return [number for number, body in self.found.items() if body != sent[number][: LAYOUT.size]]


def receive(data: bytes, *, crc_bytes: int = 0, pieces: list[int] | None = None, first: int = 0) -> Received:
    framer = PacketFramer(LAYOUT, TICKS, crc_bytes=crc_bytes)
    result = Received({}, 0, [], framer)
    data += seal(STATUS, crc_bytes)  # without CRC a packet is believed when something sound follows it
    at, sizes = 0, iter(pieces or [])
    while at < len(data):
        size = next(sizes, 4096)
        for item in framer.feed(data[at : at + size]):
            if isinstance(item, PacketRun):
                assert item.packets.shape[1] == LAYOUT.size
                result.gaps += item.gap_before
                for i, row in enumerate(item.packets):
                    result.found[first + item.first + i] = row.tobytes()
            else:
                result.others.append(item)
        at += size
    return result


def proven(whole: list[int], crc_bytes: int) -> set[int]:
    """Of the whole packets those that can be told from damaged ones: without CRC not the one before."""
    return set(whole) if crc_bytes else {i for i in whole if i + 1 in whole or i == max(whole)}


@pytest.mark.parametrize("crc_bytes", [0, 2])
@given(pieces=st.lists(st.integers(1, 60), max_size=60), stamp0=st.integers(0, 2**24 - 1))
@settings(max_examples=30)
def test_any_pieces_and_any_wrap(crc_bytes: int, pieces: list[int], stamp0: int) -> None:
    sent = make_packets(100, crc_bytes=crc_bytes, stamp0=stamp0)
    got = receive(b"".join(sent), crc_bytes=crc_bytes, pieces=pieces)
    assert sorted(got.found) == list(range(100))
    assert got.wrong(sent) == []
    assert (got.gaps, got.framer.bytes_skipped, got.framer.packets_rejected) == (0, 0, 0)


@pytest.mark.parametrize("crc_bytes", [0, 2])
def test_400_random_cuts_never_lock_wrongly(crc_bytes: int) -> None:
    rng = np.random.default_rng(1)
    sent = make_packets(60, crc_bytes=crc_bytes, stamp0=2**24 - 30 * TICKS)
    stream = b"".join(sent)
    size = len(sent[0])
    for _ in range(400):
        at = int(rng.integers(5 * size, 40 * size))
        cut = int(rng.integers(1, 3 * size))
        if cut % size == 0 and not crc_bytes:
            continue  # the halves of two packets make one that only a CRC can tell from a whole one
        got = receive(stream[:at] + stream[at + cut :], crc_bytes=crc_bytes)
        assert got.wrong(sent) == []
        whole = [i for i in range(60) if (i + 1) * size <= at or i * size >= at + cut]
        missing = set(range(60)) - set(got.found)
        # What follows the damage is never dropped; without CRC one packet before it may be.
        assert missing <= set(range(60)) - proven(whole, crc_bytes)
        assert got.gaps == len(missing)


@pytest.mark.parametrize("crc_bytes", [0, 2])
@given(junk=st.binary(min_size=1, max_size=50), at=st.integers(2, 40))
@settings(max_examples=60)
def test_foreign_bytes_between_packets(crc_bytes: int, junk: bytes, at: int) -> None:
    sent = make_packets(60, crc_bytes=crc_bytes)
    got = receive(b"".join(sent[:at]) + junk + b"".join(sent[at:]), crc_bytes=crc_bytes)
    assert got.wrong(sent) == []
    assert set(range(60)) - set(got.found) <= (set() if crc_bytes else {at - 1})


@pytest.mark.parametrize("crc_bytes", [0, 2])
@given(data=st.data())
@settings(max_examples=60)
def test_lost_packets_are_counted_by_their_stamps(crc_bytes: int, data: st.DataObject) -> None:
    sent = make_packets(120, crc_bytes=crc_bytes, stamp0=2**24 - 50 * TICKS)
    lost = data.draw(st.sets(st.integers(2, 117), max_size=40))
    kept = [i for i in range(120) if i not in lost]
    got = receive(
        b"".join(sent[i] for i in kept), crc_bytes=crc_bytes, pieces=data.draw(st.lists(st.integers(1, 99)))
    )
    assert sorted(got.found) == kept
    assert got.wrong(sent) == []
    assert got.gaps == len(lost)
    assert got.framer.packets_rejected == 0


@given(bit=st.integers(0, 8 * 20 - 1), at=st.integers(3, 50))
@settings(max_examples=100)
def test_with_crc_one_flipped_bit_costs_one_packet(bit: int, at: int) -> None:
    sent = make_packets(60, crc_bytes=2)
    stream = bytearray(b"".join(sent))
    stream[at * 20 + bit // 8] ^= 1 << bit % 8
    got = receive(bytes(stream), crc_bytes=2)
    assert got.wrong(sent) == []
    assert set(got.found) == set(range(60)) - {at}
    assert (got.gaps, got.framer.packets_rejected) == (1, 1)


@given(bit=st.integers(0, 31), at=st.integers(3, 50))
@settings(max_examples=60)
def test_without_crc_a_damaged_head_never_shifts_time(bit: int, at: int) -> None:
    sent = make_packets(60)
    stream = bytearray(b"".join(sent))
    stream[at * 18 + bit // 8] ^= 1 << bit % 8
    got = receive(bytes(stream))
    assert got.wrong(sent) == []
    assert {at} <= set(range(60)) - set(got.found) <= {at - 1, at}


@pytest.mark.parametrize("crc_bytes", [0, 2])
@pytest.mark.parametrize("again", [range(19, 20), range(10, 20), range(20)])
def test_doubled_and_old_packets_are_refused(crc_bytes: int, again: range) -> None:
    sent = make_packets(60, crc_bytes=crc_bytes)
    stream = b"".join(sent[:20]) + b"".join(sent[i] for i in again) + b"".join(sent[20:])
    got = receive(stream, crc_bytes=crc_bytes)
    assert set(range(60)) - set(got.found) <= (set() if crc_bytes else {19})
    assert got.wrong(sent) == []
    assert got.gaps == 60 - len(got.found)
    assert got.framer.packets_rejected >= 1


@pytest.mark.parametrize("crc_bytes", [0, 2])
@pytest.mark.parametrize("pieces", [None, [1] * 4000, [7] * 600])
def test_status_and_ack_between_packets(crc_bytes: int, pieces: list[int] | None) -> None:
    sent = make_packets(30, crc_bytes=crc_bytes)
    stream = b"".join(sent[:10]) + seal(STATUS, crc_bytes) + b"".join(sent[10:]) + seal(STATUS[1:], crc_bytes)
    got = receive(stream, crc_bytes=crc_bytes, pieces=pieces)
    assert set(got.found) == set(range(30))
    assert [type(item) for item in got.others] == [Status, Status, Status]
    assert got.framer.bytes_skipped == 0
    got.framer.expects_ack = True
    assert got.framer.feed(seal(b"\xff", crc_bytes)) == [Ack()]


def test_losses_of_minutes_are_still_counted() -> None:
    sent = make_packets(60_000)
    kept = [*range(10), *range(50_000, 50_010)]  # 195 s are missing: under half a turn of the counter
    got = receive(b"".join(sent[i] for i in kept))
    assert sorted(got.found) == kept
    assert got.gaps == 50_000 - 10


def test_layouts() -> None:
    assert LAYOUT.size == 18
    assert PacketLayout.of(CHANNELS[:3]).size == 11
    assert PacketLayout.of((0x1D, 0x23, 0x24, 0x20, 0x25, 0x26)).size == 14
    with pytest.raises(KeyError):
        PacketLayout.of((0x1D, 0x77))


@pytest.mark.parametrize("crc_bytes", [0, 2])
@given(pieces=st.lists(st.binary(max_size=200), max_size=30))
@settings(max_examples=100)
def test_any_bytes_are_survived_in_bounded_memory(crc_bytes: int, pieces: list[bytes]) -> None:
    framer = PacketFramer(LAYOUT, TICKS, crc_bytes=crc_bytes)
    for piece in pieces:
        for item in framer.feed(piece):
            assert isinstance(item, PacketRun | Status | Ack)
        assert len(framer._buffer) < 3 * (LAYOUT.size + crc_bytes)
