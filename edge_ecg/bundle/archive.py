"""The container: a ZIP file in one canonical form, so that every byte of it means something.

Any ZIP tool can open it, but only one byte string is accepted for a given list of entries: stored (never
compressed), in order, ASCII names, the time stamp of 1980-01-01, no comments, no extra fields. A reader can
therefore compare what it read with what a writer would have written, and no flipped, added or lost byte goes
unnoticed. Beside the file itself, reading allocates one copy of its contents, and nothing more whatever its
headers say.

Layout after PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.16 (end).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

Entry = tuple[str, bytes]

# A bundle has about ten; what needs ZIP64 (65535 and more) is never written nor read.
MAX_ENTRIES = 256

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCAL_MAGIC, _CENTRAL_MAGIC, _END_MAGIC = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"

_VERSION = 20  # "2.0 to extract": the lowest that all tools know
_MADE_BY_UNIX = 0x0300 | _VERSION
_DATE_1980 = 0x0021  # 1980-01-01, the first date that the format can say
_MODE = 0o100644 << 16


class ArchiveError(ValueError):
    """The bytes are not an archive in the canonical form; the message says in which way."""


def pack(entries: Sequence[Entry]) -> bytes:
    """Return the one archive that holds these entries.

    Names must be ASCII, contents under 4 GiB in all, entries no more than ``MAX_ENTRIES``.
    """
    if len(entries) > MAX_ENTRIES:
        raise ValueError(f"{len(entries)} entries; more than {MAX_ENTRIES} are not possible")
    body = bytearray()
    for name, content in entries:
        body += _local_header(name, content) + content
    return bytes(body) + _directory(entries)


def unpack(data: bytes) -> list[Entry]:
    """Return the entries of an archive that :func:`pack` made, names as they stand there.

    Raises
    ------
    ArchiveError
        When there is any byte that :func:`pack` would not have written.

    """
    if not data.startswith(_LOCAL_MAGIC):
        raise ArchiveError("it does not begin like a ZIP file" if data else "it is empty")
    entries: list[Entry] = []
    at = 0
    while data.startswith(_LOCAL_MAGIC, at):
        if len(entries) == MAX_ENTRIES:
            raise ArchiveError(f"it holds more than {MAX_ENTRIES} entries")
        entry, at = _local_entry(data, at)
        entries.append(entry)
    directory = _directory(entries)
    if len(data) - at < len(directory) and directory.startswith(data[at:]):
        raise ArchiveError("it is cut short: its directory is missing or incomplete")
    if len(data) - at != len(directory) or not data.endswith(directory):
        raise ArchiveError("its directory differs from what its contents demand")
    return entries


def _local_header(name: str, content: bytes) -> bytes:
    encoded = name.encode("ascii")
    return _LOCAL.pack(_LOCAL_MAGIC, *_common(encoded, content)) + encoded


def _directory(entries: Sequence[Entry]) -> bytes:
    directory = bytearray()
    offset = 0
    for name, content in entries:
        encoded = name.encode("ascii")
        fields = (*_common(encoded, content), 0, 0, 0, _MODE, offset)
        directory += _CENTRAL.pack(_CENTRAL_MAGIC, _MADE_BY_UNIX, *fields) + encoded
        offset += _LOCAL.size + len(encoded) + len(content)
    count = len(entries)
    return bytes(directory) + _END.pack(_END_MAGIC, 0, 0, count, count, len(directory), offset, 0)


def _common(encoded_name: bytes, content: bytes) -> tuple[int, ...]:
    crc, size = zlib.crc32(content), len(content)
    return (_VERSION, 0, 0, 0, _DATE_1980, crc, size, size, len(encoded_name), 0)


def _local_entry(data: bytes, at: int) -> tuple[Entry, int]:
    if at + _LOCAL.size > len(data):
        raise ArchiveError("it is cut short in the header of an entry")
    _, _, flags, method, _, _, crc, stored, size, name_length, extra = _LOCAL.unpack_from(data, at)
    start = at + _LOCAL.size + name_length
    try:
        name = data[at + _LOCAL.size : start].decode("ascii")
    except UnicodeDecodeError:
        raise ArchiveError("the name of an entry is not ASCII") from None
    if method != 0:
        raise ArchiveError(f"the entry {_shown(name)} is compressed; a bundle is stored without compression")
    if flags or extra or stored != size:
        raise ArchiveError(f"the header of the entry {_shown(name)} is not that of a stored file")
    end = start + size
    if end > len(data):
        raise ArchiveError(f"it is cut short in {_shown(name)}, or the size given for it is wrong")
    content = data[start:end]
    if zlib.crc32(content) != crc:
        raise ArchiveError(f"the checksum of {_shown(name)} differs")
    if data[at:start] != _local_header(name, content):
        raise ArchiveError(f"the header of {_shown(name)} differs from what its contents demand")
    return (name, content), end


def _shown(name: str) -> str:
    return repr(name if len(name) <= 100 else name[:97] + "...")
