"""Decoders as one writes them first: a byte at a time, in plain Python, from the same documents.

They are what ``decode_throughput.py`` measures the codecs against, and an independent check of their values:
they find packets by header, length and check sum, and know nothing of loss, time, or finding the stream
again. Each takes what a device sent in its stream and returns millivolts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from edge_ecg_bridge.framed.info import Info

Notifications = Iterable[bytes]


def _packets(data: bytes, header: bytes, size: int) -> Iterator[bytearray]:
    """Yield what begins with the header and is so long."""
    packet = bytearray()
    for byte in data:
        if len(packet) < len(header) and byte != header[len(packet)]:
            packet.clear()
            continue
        packet.append(byte)
        if len(packet) == size:
            yield packet
            packet = bytearray()


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def _crc16(data: bytes | bytearray, crc: int) -> int:
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1
    return crc


def shimmer3(data: bytes) -> list[float]:
    """Two ExG chips, 24 bit, CRC of two bytes, gain 4: 20 bytes a packet."""
    mv = []
    for packet in _packets(data, b"\0", 20):
        if _crc16(packet[:18], 0xB0CA) == packet[18] | packet[19] << 8:
            count = _signed(packet[5] << 16 | packet[6] << 8 | packet[7], 24)
            mv.append(count * 2420.0 / 4 / 8388607)
    return mv


def cyton(data: bytes) -> list[float]:
    """Header A0, footer C0, channel 1 at gain 24."""
    return [
        _signed(packet[2] << 16 | packet[3] << 8 | packet[4], 24) * 4500.0 / 24 / 8388607
        for packet in _packets(data, b"\xa0", 33)
        if packet[32] & 0xF0 == 0xC0
    ]


def bitalino(data: bytes) -> list[float]:
    """One channel: frames of three bytes, which only their CRC tells apart."""
    mv = []
    frame = bytearray()
    for byte in data:
        frame.append(byte)
        if len(frame) < 3:
            continue
        rest = 0
        for each in (frame[0], frame[1], frame[2] & 0xF0):
            for bit in range(7, -1, -1):
                rest = rest << 1 | (each >> bit & 1)
                if rest & 0x10:
                    rest ^= 0x13
        if rest == frame[2] & 0x0F:
            mv.append((((frame[1] & 0x0F) << 6 | frame[0] >> 2) / 1024.0 - 0.5) * 3300.0 / 1100.0)
            frame.clear()
        else:
            del frame[0]
    return mv


def openview(data: bytes) -> list[float]:
    """Payload of eight bytes, ECG first, 20 of the converter's 24 bits, gain 12."""
    return [
        _signed(packet[5] | packet[6] << 8, 16) * 16 * 2420.0 / 12 / 8388607
        for packet in _packets(data, b"\x0a\xfa\x08\x00\x02", 15)
        if packet[13:] == b"\x00\x0b"
    ]


def text(data: bytes) -> list[float]:
    """Microseconds and a count of ten bits, 5 V, gain 1100."""
    mv = []
    line = bytearray()
    for byte in data:
        if byte != 0x0A:
            line.append(byte)
            continue
        parts = line.strip().split(b",")
        line.clear()
        if len(parts) == 2 and parts[0].isdigit() and parts[1].isdigit():
            mv.append((int(parts[1]) / 1024.0 - 0.5) * 5000.0 / 1100.0)
    return mv


def framed(info: Info) -> Callable[[bytes], list[float]]:
    """Data frames of a board that said ``info``: 16-bit counts, perhaps with an accelerometer before them."""
    channel = info.channels[0]
    skip = 10 + (6 if info.ug_per_count else 0)
    width = 2 * len(info.channels)

    def decode(data: bytes) -> list[float]:
        mv = []
        frame = bytearray()
        for byte in data:
            if len(frame) < 2 and byte != b"\xec\x47"[len(frame)]:
                frame.clear()
                continue
            frame.append(byte)
            if len(frame) < 4 or len(frame) < frame[3] + 6:
                continue
            if _crc16(frame[2:-2], 0xFFFF) == frame[-2] | frame[-1] << 8 and frame[2] == 0x11:
                for at in range(4 + skip, len(frame) - 2, width):
                    count = _signed(frame[at] | frame[at + 1] << 8, 16)
                    mv.append((count - channel.zero) * channel.mv_per_count)
            frame.clear()
        return mv

    return decode


def polar(notifications: Notifications) -> list[float]:
    """ECG frames of type 0: 24-bit microvolts."""
    mv = []
    for data in notifications:
        if data[0] == 0 and data[9] == 0:
            for at in range(10, len(data), 3):
                count = data[at] | data[at + 1] << 8 | data[at + 2] << 16
                mv.append(_signed(count, 24) / 1000.0)
    return mv


def movesense(notifications: Notifications) -> list[float]:
    """Data of the ECG's subscription: 32-bit counts behind type, reference and time."""
    mv = []
    for data in notifications:
        if data[0] == 2:
            for at in range(6, len(data), 4):
                count = data[at] | data[at + 1] << 8 | data[at + 2] << 16 | data[at + 3] << 24
                mv.append(_signed(count, 32) * 1000.0 / 20 / 131072)
    return mv


def ganglion(notifications: Notifications) -> list[float]:
    """Firmware 3: two samples of four channels in 18 or 19 bits, the sign in the lowest."""
    mv = []
    for data in notifications:
        if data[0] >= 200:
            continue
        bits = 19 if data[0] >= 100 else 18
        word = filled = 0
        words = []
        for byte in data[1:]:
            word, filled = word << 8 | byte, filled + 8
            if filled >= bits and len(words) < 8:
                filled -= bits
                value, word = word >> filled, word & ((1 << filled) - 1)
                words.append((value & ~1) - ((value & 1) << bits))
        mv += [words[at] * 2.0 ** (24 - bits) * 15.686 / 8388607 for at in (0, 4)]
    return mv
