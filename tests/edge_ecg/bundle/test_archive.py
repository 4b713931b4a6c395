"""The container: a ZIP that other tools open, in which no byte can change unseen."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg.bundle.archive import ArchiveError, pack, unpack

NAMES = st.text("abcXYZ019._/-", min_size=1, max_size=20)
ENTRIES = st.lists(st.tuples(NAMES, st.binary(max_size=200)), min_size=1, max_size=5)


@given(ENTRIES)
def test_unpack_is_the_inverse_of_pack(entries: list[tuple[str, bytes]]) -> None:
    assert unpack(pack(entries)) == entries


@given(st.dictionaries(NAMES, st.binary(max_size=200), min_size=1, max_size=5))
def test_python_s_zipfile_reads_the_same(contents: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(pack(list(contents.items())))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == list(contents)
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        assert all(info.date_time == (1980, 1, 1, 0, 0, 0) for info in archive.infolist())
        for name, content in contents.items():
            assert archive.read(name) == content


@given(ENTRIES, st.data())
def test_no_single_flipped_byte_passes(entries: list[tuple[str, bytes]], data: st.DataObject) -> None:
    packed = bytearray(pack(entries))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ArchiveError):
        unpack(bytes(packed))


def test_every_bit_of_one_archive_means_something() -> None:
    packed = pack([("manifest.json", b"{}"), ("heads/stress.npz", b"PK\x03\x04 in the middle")])
    for bit in range(8 * len(packed)):
        broken = bytearray(packed)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ArchiveError):
            unpack(bytes(broken))


@given(ENTRIES)
def test_every_prefix_is_refused(entries: list[tuple[str, bytes]]) -> None:
    packed = pack(entries)
    for length in range(len(packed)):
        with pytest.raises(ArchiveError):
            unpack(packed[:length])


@given(ENTRIES, st.binary(min_size=1, max_size=50))
def test_bytes_after_the_end_are_refused(entries: list[tuple[str, bytes]], more: bytes) -> None:
    with pytest.raises(ArchiveError):
        unpack(pack(entries) + more)


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_as_an_archive_error(data: bytes) -> None:
    with pytest.raises(ArchiveError):
        unpack(data)


@given(st.binary(max_size=400))
def test_any_bytes_behind_the_magic_are_refused_too(data: bytes) -> None:
    with pytest.raises(ArchiveError):
        unpack(b"PK\x03\x04" + data)


def test_a_compressed_entry_is_refused_by_name() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", "{}" * 100)
    with pytest.raises(ArchiveError, match=r"'manifest.json' is compressed"):
        unpack(stream.getvalue())


def test_an_archive_of_another_tool_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("manifest.json", (2026, 1, 31, 12, 0, 0)), "{}")
    with pytest.raises(ArchiveError, match="differs from what its contents demand"):
        unpack(stream.getvalue())


def test_a_size_of_four_gigabytes_allocates_nothing() -> None:
    packed = bytearray(pack([("manifest.json", b"{}")]))
    packed[18:26] = b"\xff" * 8  # both sizes in the local header
    with pytest.raises(ArchiveError, match=r"cut short in 'manifest\.json'"):
        unpack(bytes(packed))
