"""The bytes of the Polar Measurement Data service, against the documents and another client's parser."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg_bridge.polar import pmd
from edge_ecg_bridge.polar.frames import FrameError, acceleration_g, deltas, ecg_uv, split
from edge_ecg_bridge.polar.pmd import Measurement, Operation, Setting, Status


def test_commands_by_hand() -> None:
    """Polar's online_measurement.pdf."""
    assert pmd.get_settings(Measurement.ECG) == bytes.fromhex("0100")
    ecg = {Setting.RATE_HZ: 130, Setting.RESOLUTION_BITS: 14}
    assert pmd.start(Measurement.ECG, ecg) == bytes.fromhex("02 00 00 01 82 00 01 01 0E 00")
    acceleration = {Setting.RATE_HZ: 200, Setting.RESOLUTION_BITS: 16, Setting.RANGE: 8}
    by_hand = bytes.fromhex("02 02 00 01 C8 00 01 01 10 00 02 01 08 00")
    assert pmd.start(Measurement.ACCELERATION, acceleration) == by_hand
    assert pmd.stop(Measurement.ECG) == bytes.fromhex("0300")


def test_answers_by_hand() -> None:
    data = bytes.fromhex("F0 01 00 00 00 00 01 82 00 01 01 0E 00")
    assert pmd.is_response(data, Operation.GET_SETTINGS, Measurement.ECG)
    assert not pmd.is_response(data, Operation.START, Measurement.ECG)
    answer = pmd.read_response(data)
    assert answer.status == Status.SUCCESS
    assert answer.settings == {Setting.RATE_HZ: (130,), Setting.RESOLUTION_BITS: (14,)}
    assert answer.factor == 1.0
    assert pmd.response(1, 0, 0, pmd.settings_bytes(answer.settings)) == data
    several = pmd.read_settings(bytes.fromhex("00 04 C8 00 64 00 32 00 19 00 02 03 08 00 04 00 02 00"))
    assert several == {Setting.RATE_HZ: (200, 100, 50, 25), Setting.RANGE: (8, 4, 2)}
    factor = pmd.read_response(bytes.fromhex("F0 02 02 00 00 05 01") + struct.pack("<f", 0.25)).factor
    assert factor == 0.25
    assert pmd.read_response(bytes.fromhex("F0 02 00 06")).status == Status.ALREADY_IN_STATE
    assert pmd.stopped_measurements(bytes.fromhex("01 00 02")) == {Measurement.ECG, Measurement.ACCELERATION}
    assert not pmd.stopped_measurements(bytes.fromhex("0F 05"))


def test_an_ecg_frame_by_hand() -> None:
    value = bytes.fromhex("00 EA 54 A2 42 8B 45 52 08 00  FF FF FF  01 00 00  FF FF 7F  00 00 80")
    frame = split(value)
    assert frame.stamp_ns == 0x0852458B42A254EA
    assert ecg_uv(frame).tolist() == [-1, 1, 2**23 - 1, -(2**23)]


@pytest.mark.parametrize(
    ("kind", "data", "mg"),
    [
        (0x00, "01 FF 80", (1, -1, -128)),
        (0x01, "01 00 FF FF 00 80", (1, -1, -32768)),
        (0x02, "01 00 00 FF FF FF 00 00 80", (1, -1, -(2**23))),
    ],
)
def test_acceleration_frames_by_hand(kind: int, data: str, mg: tuple[int, ...]) -> None:
    value = b"\x02" + bytes(8) + bytes((kind,)) + bytes.fromhex(data)
    np.testing.assert_allclose(acceleration_g(split(value)), [np.array(mg) / 1000])


def test_a_compressed_frame_by_hand() -> None:
    """Reference (256, -1, 0); then two differences of 3 bits: (1, -1, 3) and (-4, 0, 2), lowest bit first."""
    bits = "".join(f"{value & 7:03b}"[::-1] for value in (1, -1, 3, -4, 0, 2))
    block = int(bits[::-1], 2).to_bytes(3, "little")
    data = bytes.fromhex("00 01 FF FF 00 00 03 02") + block
    by_hand = np.array([[256, -1, 0], [257, -2, 3], [253, -2, 5]])
    np.testing.assert_array_equal(deltas(data, 3, 2), by_hand)
    frame = split(b"\x02" + bytes(8) + b"\x81" + data)
    np.testing.assert_allclose(acceleration_g(frame), by_hand / 1000)
    in_g = split(b"\x02" + bytes(8) + b"\x80" + data)
    np.testing.assert_allclose(acceleration_g(in_g, 0.5), by_hand / 2)


@st.composite
def compressed(draw: st.DrawFn) -> bytes:
    data = draw(st.binary(min_size=6, max_size=6))
    for _ in range(draw(st.integers(0, 3))):
        bits, count = draw(st.integers(1, 16)), draw(st.integers(1, 20))
        length = (bits * count * 3 + 7) // 8
        data += bytes((bits, count)) + draw(st.binary(min_size=length, max_size=length))
    return data


@settings(deadline=None)
@given(compressed())
def test_compressed_frames_as_polar_python_reads_them(data: bytes) -> None:
    compression = pytest.importorskip("polar_python.parsers.compression", reason="pip install polar-python")
    theirs = compression.parse_delta_frames_all(data, channels=3, resolution=16, data_type="signed_int")
    # It reads a difference of one bit as unsigned; the SDK's parser and ours as signed.
    ours = deltas(data, 3, 2)
    if 1 not in block_widths(data):
        np.testing.assert_array_equal(ours, theirs)
    assert ours.shape == (len(theirs), 3)


def block_widths(data: bytes) -> set[int]:
    at, widths = 6, set()
    while at < len(data):
        widths.add(data[at])
        at += 2 + (data[at] * data[at + 1] * 3 + 7) // 8
    return widths


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_samples_or_a_frame_error(value: bytes) -> None:
    pmd.is_response(value, 1, 0)
    pmd.stopped_measurements(value)
    pmd.read_settings(value)
    for read in (ecg_uv, acceleration_g, lambda frame: deltas(frame.data, 3, 2)):
        try:
            samples = read(split(value))
        except FrameError:
            continue
        assert np.isfinite(samples).all()
        assert samples.size <= 3 * 255 * 300
