"""Frames byte by byte, against firmware_bridge/sketches/README.md; finding them in damaged bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg_bridge.framed import (
    ASK_INFO,
    START,
    STOP,
    Channel,
    DataFrame,
    Flag,
    FrameFinder,
    FrameType,
    Info,
    State,
    crc16,
    recognise,
    seal,
)
from edge_ecg_bridge.framed.packets import BodyLayout
from edge_ecg_bridge.framed.wire import MAX_FRAME

INFO_BYTES = bytes.fromhex(
    "EC 47 12 2E"
    "07 0F"  # run 7; streaming, obeys, even, electrodes
    "00 E8 03 00"  # 256 000 mHz
    "00 00 01 02"  # no accelerometer, one channel, two bytes a sample
    "41 44 38 32 33 32 20 41 56 52 00 00"  # AD8232 AVR
    "01 45 43 47 00 00 00 00"  # an ECG, called ECG
    "88 BB 43 00"  # 4 438 920 pV a count
    "00 02 00 00 00 00 00 00 FF 03 00 00"  # zero 512, limits 0 and 1023
)
INFO = Info(7, State(0x0F), 256_000, 0, 2, "AD8232 AVR", (Channel("ECG", True, 4_438_920, 512, 0, 1023),))
DATA_BYTES = bytes.fromhex(
    "EC 47 11 10"
    "07 03"  # run 7; LO+ and LO- are loose
    "FE FF FF FF"  # number 2^32 - 2
    "40 42 0F 00"  # 1 000 000 us
    "00 02 FF 03 FE FF"  # 512, 1023, -2
)
DATA = DataFrame(7, Flag.PLUS_OFF | Flag.MINUS_OFF, 2**32 - 2, 1_000_000, bytes.fromhex("0002FF03FEFF"))


def plain_crc(data: bytes) -> int:
    """The CRC bit by bit, from its definition."""
    crc = 0xFFFF
    for byte in data:
        for bit in range(7, -1, -1):
            feedback = (crc >> 15) ^ (byte >> bit & 1)
            crc = (crc << 1 & 0xFFFF) ^ (0x1021 if feedback else 0)
    return crc


def with_crc(frame: bytes) -> bytes:
    return frame + plain_crc(frame[2:]).to_bytes(2, "little")


def test_the_crc_is_the_catalogued_one() -> None:
    assert crc16(b"123456789") == 0x29B1


@given(st.binary(max_size=300))
def test_the_crc_is_that_of_its_definition(data: bytes) -> None:
    assert crc16(data) == plain_crc(data)


def test_an_info_frame_byte_by_byte() -> None:
    assert INFO.frame() == with_crc(INFO_BYTES)
    assert FrameFinder().feed(with_crc(INFO_BYTES)) == [(FrameType.INFO, INFO_BYTES[4:])]
    assert Info.parse(INFO_BYTES[4:]) == INFO
    assert INFO.fs_hz == 256.0
    assert INFO.channels[0].mv_per_count == pytest.approx(5000 / 1024 / 1100, rel=1e-6)


def test_a_data_frame_byte_by_byte() -> None:
    assert DATA.frame() == with_crc(DATA_BYTES)
    assert FrameFinder().feed(with_crc(DATA_BYTES)) == [(FrameType.DATA, DATA_BYTES[4:])]
    assert DataFrame.parse(DATA_BYTES[4:]) == DATA
    layout = BodyLayout.of(INFO)
    assert layout.samples_in(DATA) == 3
    assert layout.counts([DATA]).tolist() == [[512], [1023], [-2]]
    assert layout.acceleration_g([DATA]) is None


def test_commands_byte_by_byte() -> None:
    assert with_crc(b"\xec\x47\x18\x00") == ASK_INFO
    assert with_crc(b"\xec\x47\x19\x00") == START
    assert with_crc(b"\xec\x47\x1a\x00") == STOP


def test_three_bytes_a_sample_two_channels_and_acceleration() -> None:
    body = bytes.fromhex("E803 18FC 0000  010000 FFFFFF  FFFF7F 000080")
    layout = BodyLayout(channels=2, sample_bytes=3, ug_per_count=1000)
    frame = DataFrame(0, 0, 0, 0, body)
    assert layout.samples_in(frame) == 2
    assert layout.counts([frame]).tolist() == [[1, -1], [2**23 - 1, -(2**23)]]
    np.testing.assert_allclose(layout.acceleration_g([frame]), [[1.0, -1.0, 0.0]])
    assert layout.pack(layout.counts([frame]), (1000, -1000, 0)) == body


@pytest.mark.parametrize("length", [0, 1, 3, 5, 6, 7, 8])
def test_a_body_of_the_wrong_length_holds_nothing(length: int) -> None:
    assert BodyLayout(2, 2, 977).samples_in(DataFrame(0, 0, 0, 0, bytes(length))) == 0


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (2, bytes(4)),  # no rate
        (8, b"\x02"),  # two channels, one described
        (9, b"\x01"),  # one byte a sample
        (30, bytes(4)),  # counts without size
        (42, b"\xff\xff\xff\xff"),  # upper limit below the lower one
    ],
)
def test_an_info_frame_that_contradicts_itself_is_refused(at: int, value: bytes) -> None:
    payload = bytearray(INFO_BYTES[4:])
    payload[at : at + len(value)] = value
    assert Info.parse(bytes(payload)) is None


@given(st.binary(max_size=255))
def test_any_info_payload_is_read_or_refused(payload: bytes) -> None:
    info = Info.parse(payload)
    assert info is None or 1 <= len(info.channels) <= 8


@given(st.binary(min_size=12, max_size=12), st.binary(min_size=7, max_size=7))
def test_names_become_printable(name: bytes, channel: bytes) -> None:
    payload = INFO_BYTES[4:14] + name + b"\x01" + channel + INFO_BYTES[-16:]
    info = Info.parse(payload)
    assert info.name.isascii()
    assert info.name.isprintable()
    assert info.channels[0].name.isprintable()


def test_what_is_too_long_for_a_frame() -> None:
    with pytest.raises(ValueError, match="holds 255 bytes, not 256"):
        seal(FrameType.DATA, bytes(256))


def data_frame(number: int) -> DataFrame:
    body = np.array([number % 1000, 0xEC47 - 0x10000, 3], dtype="<i2").tobytes()
    return DataFrame(7, 0, number * 3, number * 11719, body)


@given(st.lists(st.integers(1, 40), max_size=60), st.lists(st.binary(max_size=20), max_size=12))
def test_any_pieces_and_anything_between_give_the_same_frames(sizes: list[int], between: list[bytes]) -> None:
    frames = [data_frame(i).frame() for i in range(12)]
    stream = b"".join(a + b for a, b in zip(frames, between + [b""] * 12, strict=False))
    whole = FrameFinder()
    expected = whole.feed(stream)
    finder, at, found, rest = FrameFinder(), 0, [], iter(sizes)
    while at < len(stream):
        size = next(rest, 33)
        found += finder.feed(stream[at : at + size])
        at += size
    assert found == expected
    assert (finder.bytes_skipped, finder.frames_rejected) == (whole.bytes_skipped, whole.frames_rejected)


def test_one_damaged_byte_costs_one_frame() -> None:
    """Every byte of a frame, in every way: it is refused, and the frames around it are found."""
    before, victim, after = data_frame(1).frame(), data_frame(2).frame(), data_frame(3).frame()
    expected = [(FrameType.DATA, frame[4:-2]) for frame in (before, after)]
    for at in range(len(victim)):
        for flip in range(1, 256):
            damaged = bytearray(victim)
            damaged[at] ^= flip
            finder = FrameFinder()
            # A damaged length may make the finder wait for at most one largest frame.
            assert finder.feed(before + bytes(damaged) + after + bytes(MAX_FRAME)) == expected


def test_a_lost_or_added_byte_costs_one_frame() -> None:
    before, victim, after = data_frame(1).frame(), data_frame(2).frame(), data_frame(3).frame()
    expected = [(FrameType.DATA, frame[4:-2]) for frame in (before, after)]
    for at in range(len(victim)):
        for damaged in (victim[:at] + victim[at + 1 :], victim[:at] + b"\xec" + victim[at:]):
            found = FrameFinder().feed(before + damaged + after + bytes(MAX_FRAME))
            assert [item for item in found if item in expected] == expected
            assert len(found) == 2 + (damaged.endswith(victim))


@given(
    st.lists(st.one_of(st.binary(max_size=400), st.just(b"\xec\x47\x11\xff"), st.just(b"\xec")), max_size=30)
)
@settings(max_examples=200)
def test_any_bytes_take_bounded_memory(pieces: list[bytes]) -> None:
    finder, found = FrameFinder(), 0
    for piece in pieces:
        found += sum(len(payload) + 6 for _, payload in finder.feed(piece))
        assert len(finder._buffer) < MAX_FRAME
    assert finder.bytes_skipped + found + len(finder._buffer) == sum(map(len, pieces))


def test_a_stream_is_recognised_from_anywhere() -> None:
    stream = b"".join(data_frame(i).frame() for i in range(6))
    assert all(recognise(stream[cut:]) for cut in range(len(stream) // 2))
    assert recognise(INFO.frame())
    assert not recognise(b"512\r\n513\r\n" * 40)
    assert not recognise(np.random.default_rng(0).bytes(20_000))
