"""GATT as a byte stream, so that a Bluetooth LE device is one more device behind a transport.

Each message is one record: ``00``, then, with zeros taken out by consistent overhead byte stuffing (Cheshire
S, Baker M, "Consistent overhead byte stuffing", IEEE/ACM Trans Networking 7:159-172, 1999), its kind, the
characteristic's UUID (16 bytes, where it has one), its payload and the CRC-32 of all that (as in ZIP, low
byte first), then ``00``. A record that was cut or damaged on its way costs itself; it is counted and never
believed.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID
from zlib import crc32

from .gatt import (
    Action,
    Connect,
    Connected,
    Done,
    Happening,
    Pair,
    Read,
    Refused,
    Subscribe,
    Unsubscribe,
    Value,
    Write,
)

Message = Action | Happening

# A value has 512 bytes at most; what a device offers may need more.
MAX_RECORD = 8192
_UUID_BYTES = 16
_CRC_BYTES = 4
_FULL = 0xFF

_CONNECT, _PAIR, _SUBSCRIBE, _UNSUBSCRIBE, _READ, _WRITE, _WRITE_COMMAND = range(0x01, 0x08)
_CONNECTED, _VALUE, _DONE, _REFUSED = range(0x81, 0x85)
_ON_A_CHARACTERISTIC: dict[int, type[Subscribe | Unsubscribe | Read]] = {
    _SUBSCRIBE: Subscribe,
    _UNSUBSCRIBE: Unsubscribe,
    _READ: Read,
}


def encode(message: Message) -> bytes:
    """Return a message as one record."""
    body = _body(message)
    return b"\0" + _stuff(body + crc32(body).to_bytes(_CRC_BYTES, "little")) + b"\0"


class RecordReader:
    """Cuts bytes in any pieces into messages; never holds more than one record.

    Attributes
    ----------
    records_rejected:
        Records that were damaged or of no known kind.

    """

    def __init__(self) -> None:
        self.records_rejected = 0
        self._rest = bytearray()
        self._overlong = False

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that are whole by now."""
        *whole, rest = data.split(b"\0")
        messages = []
        for part in whole:
            record = bytes(self._rest) + part
            self._rest.clear()
            if self._overlong or len(record) > MAX_RECORD:
                self.records_rejected += 1
            elif record:
                message = _decode(record)
                if message is None:
                    self.records_rejected += 1
                else:
                    messages.append(message)
            self._overlong = False
        self._rest += rest
        if len(self._rest) > MAX_RECORD:
            self._rest.clear()
            self._overlong = True
        return messages


def _decode(record: bytes) -> Message | None:
    plain = _unstuff(record)
    if plain is None or len(plain) <= _CRC_BYTES:
        return None
    body, crc = plain[:-_CRC_BYTES], plain[-_CRC_BYTES:]
    return _message(body) if crc32(body).to_bytes(_CRC_BYTES, "little") == crc else None


def _body(message: Message) -> bytes:
    match message:
        case Connect():
            return bytes((_CONNECT,))
        case Pair():
            return bytes((_PAIR,))
        case Subscribe(uuid):
            return bytes((_SUBSCRIBE,)) + _packed(uuid)
        case Unsubscribe(uuid):
            return bytes((_UNSUBSCRIBE,)) + _packed(uuid)
        case Read(uuid):
            return bytes((_READ,)) + _packed(uuid)
        case Write(uuid, data, response):
            return bytes((_WRITE if response else _WRITE_COMMAND,)) + _packed(uuid) + data
        case Connected(characteristics, name):
            listed = b"".join(map(_packed, sorted(characteristics)))
            return bytes((_CONNECTED, len(characteristics) & 0xFF)) + listed + name.encode()
        case Value(uuid, data):
            return bytes((_VALUE,)) + _packed(uuid) + data
        case Done(uuid, data):
            return bytes((_DONE,)) + _packed(uuid) + data
        case Refused(uuid, code, text):
            return bytes((_REFUSED,)) + _packed(uuid) + bytes((code,)) + text.encode()


def _message(body: bytes) -> Message | None:
    kind, rest = body[0], body[1:]
    if kind == _CONNECTED:
        return _connected(rest)
    if not rest and kind in (_CONNECT, _PAIR):
        return Connect() if kind == _CONNECT else Pair()
    if len(rest) < _UUID_BYTES:
        return None
    uuid, data = _unpacked(rest[:_UUID_BYTES]), rest[_UUID_BYTES:]
    if kind in (_SUBSCRIBE, _UNSUBSCRIBE, _READ):
        return None if data else _ON_A_CHARACTERISTIC[kind](uuid)
    if kind in (_WRITE, _WRITE_COMMAND):
        return Write(uuid, data, kind == _WRITE)
    if kind == _VALUE:
        return Value(uuid, data)
    if kind == _DONE:
        return Done(uuid, data)
    if kind == _REFUSED and data:
        return Refused(uuid, data[0], data[1:].decode(errors="replace"))
    return None


def _connected(rest: bytes) -> Connected | None:
    if not rest or len(rest) < 1 + rest[0] * _UUID_BYTES:
        return None
    end = 1 + rest[0] * _UUID_BYTES
    uuids = (_unpacked(rest[at : at + _UUID_BYTES]) for at in range(1, end, _UUID_BYTES))
    return Connected(frozenset(uuids), rest[end:].decode(errors="replace"))


def _packed(uuid: str) -> bytes:
    return UUID(uuid).bytes if uuid else bytes(_UUID_BYTES)


def _unpacked(data: bytes) -> str:
    return str(UUID(bytes=data)) if any(data) else ""


def _stuff(data: bytes) -> bytes:
    out = bytearray()
    for block in _blocks(data):
        out.append(len(block) + 1)
        out += block
    return bytes(out)


def _blocks(data: bytes) -> Iterable[bytes]:
    """Cut at zeros, and after 254 bytes without one (where no zero is meant)."""
    for part in data.split(b"\0"):
        while len(part) >= _FULL - 1:
            yield part[: _FULL - 1]
            part = part[_FULL - 1 :]
        yield part


def _unstuff(data: bytes) -> bytes | None:
    out, at = bytearray(), 0
    while at < len(data):
        code = data[at]
        block = data[at + 1 : at + code]
        if code == 0 or len(block) != code - 1:
            return None
        out += block
        at += code
        if code != _FULL and at < len(data):
            out.append(0)
    return bytes(out)
