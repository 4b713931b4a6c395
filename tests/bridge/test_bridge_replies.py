"""Answers in any pieces, with status messages between them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg_bridge.shimmer3.crc import seal
from edge_ecg_bridge.shimmer3.replies import Ack, Nack, ReplyReader, Status, parse_firmware, parse_inquiry
from edge_ecg_bridge.shimmer3.wire import Response, StatusBit

FIRMWARE = bytes.fromhex("2F 03 00 00 00 0F 04")
INQUIRY = bytes.fromhex("02 80 00 01 02 03 04 06 01 1D 1E 1F 20 21 22")
STATUS = bytes.fromhex("8A 71 13")


def everything(reader: ReplyReader, data: bytes, response: int | None, pieces: int) -> list[object]:
    found: list[object] = []
    for at in range(0, len(data), pieces):
        reader.feed(data[at : at + pieces])
        found += iter(lambda: reader.next(response), None)
    found += iter(lambda: reader.next(response, sure=True), None)
    return found


@pytest.mark.parametrize("pieces", [1, 2, 3, 100])
@pytest.mark.parametrize("crc_bytes", [0, 2])
@pytest.mark.parametrize(("prefix", "status_ack"), [(b"\xff", True), (b"", True), (b"", False)])
def test_status_around_an_answer(pieces: int, crc_bytes: int, prefix: bytes, status_ack: bool) -> None:
    reader = ReplyReader()
    reader.crc_bytes, reader.status_ack = crc_bytes, status_ack
    status = seal(prefix + STATUS, crc_bytes)
    data = status + seal(b"\xff" + FIRMWARE, crc_bytes) + status
    expected = [Status(StatusBit(0x13)), Ack(FIRMWARE[1:]), Status(StatusBit(0x13))]
    assert everything(reader, data, Response.FIRMWARE, pieces) == expected


@pytest.mark.parametrize("pieces", [1, 2, 100])
def test_a_lone_ack_waits_for_certainty(pieces: int) -> None:
    reader = ReplyReader()
    reader.feed(b"\xff")
    assert reader.next(None) is None
    assert reader.next(None, sure=True) == Ack()
    # The FF of an unsolicited status is not the answer; the one after it is.
    assert everything(reader, b"\xff" + STATUS + b"\xff", None, pieces) == [Status(StatusBit(0x13)), Ack()]


def test_without_prefix_the_ff_before_a_status_is_the_answer() -> None:
    reader = ReplyReader()
    reader.status_ack = False
    assert everything(reader, b"\xff" + STATUS, None, 1) == [Ack(), Status(StatusBit(0x13))]


def test_refusal_battery_message_and_second_status_byte() -> None:
    reader = ReplyReader()
    reader.hardware = 10
    data = bytes.fromhex("FF 8A 94 01 02 03") + bytes.fromhex("FF 8A 71 21 01") + b"\xfe"
    assert everything(reader, data, None, 1) == [Status(StatusBit(0x21)), Nack()]


@given(
    st.binary(max_size=30).filter(lambda junk: not set(junk) & {0xFF, 0xFE, 0x8A}),
    st.sampled_from([1, 4, 64]),
)
def test_junk_before_an_answer_is_skipped(junk: bytes, pieces: int) -> None:
    reader = ReplyReader()
    found = everything(reader, junk + b"\xff" + INQUIRY, Response.INQUIRY, pieces)
    assert found == [Ack(INQUIRY[1:])]
    inquiry = parse_inquiry(found[0].payload, 3)  # type: ignore[attr-defined]
    assert (inquiry.ticks, inquiry.channels) == (128, (0x1D, 0x1E, 0x1F, 0x20, 0x21, 0x22))


def test_inquiry_of_a_3r_has_seven_config_bytes() -> None:
    payload = bytes.fromhex("40 00 01 02 03 04 05 06 07 03 01 1D 1E 1F")
    reader = ReplyReader()
    reader.hardware = 10
    assert everything(reader, b"\xff\x02" + payload, Response.INQUIRY, 1) == [Ack(payload)]
    inquiry = parse_inquiry(payload, 10)
    assert (inquiry.ticks, inquiry.channels) == (64, (0x1D, 0x1E, 0x1F))


def test_firmware_payload() -> None:
    firmware = parse_firmware(FIRMWARE[1:])
    assert (firmware.kind, firmware.version, str(firmware)) == (3, (0, 15, 4), "0.15.4")


@given(
    st.lists(st.binary(max_size=64), max_size=20), st.sampled_from([None, *Response]), st.sampled_from([0, 2])
)
def test_any_bytes_end_in_messages_or_nothing(
    pieces: list[bytes], response: int | None, crc_bytes: int
) -> None:
    reader = ReplyReader()
    reader.crc_bytes = crc_bytes
    for piece in pieces:
        reader.feed(piece)
        messages = list(itertools.islice(iter(lambda: reader.next(response), None), 2000))
        assert all(isinstance(message, Ack | Nack | Status) for message in messages)
        assert len(messages) <= 64 + 300
    assert len(reader.clear()) <= 4096
