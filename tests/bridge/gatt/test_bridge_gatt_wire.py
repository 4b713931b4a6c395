"""GATT messages as records in a byte stream."""

from __future__ import annotations

from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg_bridge.gatt import (
    BATTERY_LEVEL,
    HEART_RATE,
    Connect,
    Connected,
    Done,
    Pair,
    Read,
    Refused,
    Subscribe,
    Unsubscribe,
    Value,
    Write,
    short_uuid,
)
from edge_ecg_bridge.gatt_wire import MAX_RECORD, RecordReader, encode

UUIDS = st.sampled_from([HEART_RATE, BATTERY_LEVEL, "fb005c82-02e7-f387-1cad-8acd2d8df0c8"])
DATA = st.binary(max_size=600)
NAMES = st.text(max_size=30)
MESSAGES = st.one_of(
    st.just(Connect()),
    st.just(Pair()),
    st.builds(Subscribe, UUIDS),
    st.builds(Unsubscribe, UUIDS),
    st.builds(Read, UUIDS),
    st.builds(Write, UUIDS, DATA, st.booleans()),
    st.builds(Value, UUIDS, DATA),
    st.builds(Done, st.one_of(UUIDS, st.just("")), DATA),
    st.builds(Refused, UUIDS, st.integers(0, 255), NAMES),
    st.builds(Connected, st.frozensets(UUIDS), NAMES),
)


def test_a_record_by_hand() -> None:
    body = bytes((0x82,)) + bytes.fromhex("00002a3700001000800000805f9b34fb") + b"\x00\x48"
    plain = body + crc32(body).to_bytes(4, "little")
    runs = plain.split(b"\0")
    stuffed = b"".join(bytes((len(run) + 1,)) + run for run in runs)
    assert encode(Value(HEART_RATE, b"\x00\x48")) == b"\0" + stuffed + b"\0"


@pytest.mark.parametrize("n", [0, 1, 253, 254, 255, 508, 509])
@pytest.mark.parametrize("fill", [0, 7])
def test_runs_around_the_longest(n: int, fill: int) -> None:
    message = Value(HEART_RATE, bytes((fill,)) * n)
    assert RecordReader().feed(encode(message)) == [message]


@settings(deadline=None)
@given(st.lists(MESSAGES, max_size=8), st.lists(st.integers(1, 50), max_size=60))
def test_any_pieces_give_the_same_messages(messages: list, sizes: list[int]) -> None:
    stream = b"".join(map(encode, messages))
    reader, found, at = RecordReader(), [], 0
    for size in [*sizes, len(stream)]:
        found += reader.feed(stream[at : at + size])
        at += size
    assert found == messages
    assert reader.records_rejected == 0


@settings(deadline=None)
@given(st.binary(max_size=300), st.lists(MESSAGES, min_size=1, max_size=3))
def test_garbage_before_costs_itself(garbage: bytes, messages: list) -> None:
    reader = RecordReader()
    assert reader.feed(garbage + b"".join(map(encode, messages)))[-len(messages) :] == messages


@settings(deadline=None)
@given(MESSAGES, st.data())
def test_a_flipped_bit_is_never_believed(message: object, data: st.DataObject) -> None:
    record = bytearray(encode(message))
    at = data.draw(st.integers(0, len(record) - 1))
    record[at] ^= 1 << data.draw(st.integers(0, 7))
    follower = Value(HEART_RATE, b"after")
    reader = RecordReader()
    found = reader.feed(bytes(record) + encode(follower))
    # A flip in one of the zeros around it may leave the record as it was, but never another one.
    assert found in ([follower], [message, follower])
    assert found[0] is follower or at in (0, len(record) - 1) or reader.records_rejected


@settings(deadline=None)
@given(MESSAGES, st.data())
def test_a_cut_record_costs_itself(message: object, data: st.DataObject) -> None:
    record = encode(message)
    cut = record[: data.draw(st.integers(1, len(record) - 2))]
    follower = Value(HEART_RATE, b"after")
    reader = RecordReader()
    assert reader.feed(cut + encode(follower)) == [follower]
    assert reader.records_rejected == (len(cut) > 1)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4))
def test_an_endless_record_is_dropped(pieces: int) -> None:
    reader = RecordReader()
    for _ in range(3 * pieces):
        assert reader.feed(b"\x55" * MAX_RECORD) == []
    assert len(reader._rest) <= MAX_RECORD
    assert reader.feed(b"\0" + encode(Connect())) == [Connect()]
    assert reader.records_rejected == 1


def test_short_uuids() -> None:
    assert short_uuid(0x180D) == "0000180d-0000-1000-8000-00805f9b34fb"
