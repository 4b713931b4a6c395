"""Whole bundles: what is damaged, foreign or hostile is refused with a sentence and exit code 4."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_ecg.bundle import Golden, Manifest, bundle_bytes, read_bundle, write_bundle
from edge_ecg.bundle.archive import Entry, pack, unpack
from edge_ecg.bundle.reader import MAX_BYTES
from edge_ecg.errors import BundleError

SMALL = {"heads/stress.npz": b"abc", "encoder.fp32.onnx": b"PK\x03\x04", "CARD.md": b"# Card\n"}


def read(data: bytes) -> None:
    read_bundle(io.BytesIO(data))


def rebuilt(data: bytes, change: Callable[[dict[str, bytes], dict[str, Any]], None]) -> bytes:
    """Repack after a change of the files or the manifest, checksums of the container kept right."""
    contents = dict(unpack(data))
    document = json.loads(contents.pop("manifest.json"))
    change(contents, document)
    entries: list[Entry] = [("manifest.json", json.dumps(document).encode()), *contents.items()]
    return pack(entries)


def test_what_is_written_is_read_back(small: bytes) -> None:
    bundle = read_bundle(io.BytesIO(small))
    assert dict(bundle.contents) == SMALL
    assert bundle.read("CARD.md") == b"# Card\n"
    manifest_bytes = dict(unpack(small))["manifest.json"]
    digest = hashlib.sha256(manifest_bytes).hexdigest()
    assert bundle.manifest_sha256 == digest
    assert bundle.name_at_sha == f"untrained@{digest[:12]}"
    assert bundle.signature is None


def test_the_same_files_give_the_same_bytes_in_any_order(small: bytes) -> None:
    again = read_bundle(io.BytesIO(small)).manifest
    assert bundle_bytes(again, dict(reversed(SMALL.items()))) == small
    assert unpack(small)[0][0] == "manifest.json"


def test_every_flipped_byte_is_refused(small: bytes) -> None:
    for at in range(len(small)):
        broken = bytearray(small)
        broken[at] ^= 0x20  # upper to lower case: text stays text
        with pytest.raises(BundleError):
            read(bytes(broken))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data())
def test_damage_of_any_kind_is_refused(small: bytes, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(small) - 1))
    last = data.draw(st.integers(first, min(first + 40, len(small))))
    replacement = data.draw(st.binary(max_size=40))
    broken = small[:first] + replacement + small[last:]
    if broken == small:
        return
    with pytest.raises(BundleError):
        read(broken)


def test_every_truncation_is_refused(small: bytes) -> None:
    for length in range(len(small)):
        with pytest.raises(BundleError):
            read(small[:length])


def test_a_hash_that_differs(small: bytes) -> None:
    def change(contents: dict[str, bytes], _: dict[str, Any]) -> None:
        contents["CARD.md"] = b"# Evil\n"

    with pytest.raises(BundleError, match=r"SHA-256 of 'CARD.md' in bundle differs"):
        read(rebuilt(small, change))


def test_a_size_that_differs(small: bytes) -> None:
    def change(contents: dict[str, bytes], _: dict[str, Any]) -> None:
        contents["CARD.md"] = b"# Longer card\n"

    with pytest.raises(BundleError, match=r"'CARD.md' in bundle has 14 bytes; the manifest says 7"):
        read(rebuilt(small, change))


def test_a_file_that_is_not_named(small: bytes) -> None:
    def change(contents: dict[str, bytes], _: dict[str, Any]) -> None:
        contents["more.bin"] = b""

    with pytest.raises(BundleError, match=r"holds 'more.bin', which its manifest does not name"):
        read(rebuilt(small, change))


def test_a_named_file_that_is_missing(small: bytes) -> None:
    def change(contents: dict[str, bytes], _: dict[str, Any]) -> None:
        del contents["CARD.md"]

    with pytest.raises(BundleError, match=r"lacks 'CARD.md', which its manifest names"):
        read(rebuilt(small, change))


@pytest.mark.parametrize("missing", ["heads/stress.npz", "encoder.fp32.onnx"])
def test_a_head_or_encoder_that_is_referred_to_but_not_listed(small: bytes, missing: str) -> None:
    def change(contents: dict[str, bytes], document: dict[str, Any]) -> None:
        del contents[missing]
        del document["files"][missing]

    with pytest.raises(BundleError, match=f"refers to '{missing}' but does not list it"):
        read(rebuilt(small, change))


def test_a_personal_head_that_is_referred_to_but_not_listed(small: bytes) -> None:
    def change(_: dict[str, bytes], document: dict[str, Any]) -> None:
        document["tasks"]["stress"]["personal_head"] = "heads/stress.personal.npz"

    with pytest.raises(BundleError, match=r"refers to 'heads/stress\.personal\.npz' but does not list it"):
        read(rebuilt(small, change))


@pytest.mark.parametrize("name", ["../evil", "/etc/cron.d/evil", "heads/../../evil"])
def test_a_path_that_leaves_the_archive(small: bytes, name: str) -> None:
    def change(contents: dict[str, bytes], _: dict[str, Any]) -> None:
        contents[name] = b"evil"

    with pytest.raises(BundleError, match=f"The path '{name}' leaves the archive"):
        read(rebuilt(small, change))


def test_an_entry_that_stands_twice(small: bytes) -> None:
    entries = unpack(small)
    with pytest.raises(BundleError, match="twice"):
        read(pack([*entries, entries[-1]]))


def test_the_manifest_must_come_first(small: bytes) -> None:
    entries = unpack(small)
    with pytest.raises(BundleError, match=r"first entry is .*, not manifest.json"):
        read(pack([*entries[1:], entries[0]]))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"schema": 1, "schema": 1}',
        b'{"schema": NaN}',
        b'{"schema": 1e999}',
        b"[" * 100_000,
        b'{"schema": ' + b"9" * 5000 + b"}",
        b"\xff\xfe",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_manifest_that_is_no_manifest(text: bytes) -> None:
    with pytest.raises(BundleError):
        read(pack([("manifest.json", text)]))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.ecgb"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match="no model bundle"):
            read_bundle(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_stream_without_end_is_not_read_to_its_end() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= 2**20
            self.given += size
            return b"P" * size

    endless = Endless()
    with pytest.raises(BundleError, match="no model bundle"):
        read_bundle(endless)
    assert endless.given <= MAX_BYTES + 2**20


def test_a_small_file_takes_little_memory(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "small.ecgb"
    path.write_bytes(small)
    read_bundle(path)
    tracemalloc.start()
    try:
        read_bundle(path)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_a_bundle_from_a_pipe(small: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, small)
    os.close(writing)
    try:
        assert read_bundle(f"/dev/fd/{reading}").manifest.name == "untrained"
    finally:
        os.close(reading)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()], ids=["missing", "a folder"])
def test_a_path_that_cannot_be_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "model.ecgb"
    make(path)
    with pytest.raises(BundleError, match="cannot be read") as caught:
        read_bundle(path)
    assert "path of an .ecgb file" in caught.value.remedy


def test_writing_refuses_what_reading_would(small_manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "model.ecgb"
    with pytest.raises(BundleError, match="refers to"):
        write_bundle(path, small_manifest, {"CARD.md": b""})
    with pytest.raises(BundleError, match="leaves the archive"):
        write_bundle(path, small_manifest, SMALL | {"../evil": b""})
    assert list(tmp_path.iterdir()) == []


def test_writing_replaces_in_one_step(small_manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "model.ecgb"
    write_bundle(path, small_manifest, SMALL)
    write_bundle(path, replace(small_manifest, version="0.0.2"), SMALL)
    assert read_bundle(path).manifest.version == "0.0.2"
    assert [item.name for item in path.parent.iterdir()] == ["model.ecgb"]


def test_golden_windows_are_read_back_by_engine_and_task(bundle_path: Path) -> None:
    golden = Golden.from_bundle(read_bundle(bundle_path))
    assert golden.windows.shape == (4, 2560)
    assert golden.embeddings["onnx-fp32"].shape == (4, 128)
    assert golden.probabilities["stress"].shape == (4, 2)
    assert golden.probabilities["valence"].shape == (4, 3)


def test_golden_windows_of_another_shape_are_refused(
    manifest: Manifest, bundle_files: dict[str, bytes], bundle_path: Path
) -> None:
    good = Golden.from_bundle(read_bundle(bundle_path))
    for wrong in (
        replace(good, windows=good.windows[:, :100]),
        replace(good, embeddings={"onnx-fp32": good.embeddings["onnx-fp32"][:2]}),
        replace(good, probabilities={"unknown": good.probabilities["stress"]}),
        replace(good, windows=good.windows[:0], embeddings={}, probabilities={}),
    ):
        data = bundle_bytes(manifest, bundle_files | {"golden.npz": wrong.to_bytes()})
        with pytest.raises(BundleError, match="golden windows"):
            Golden.from_bundle(read_bundle(io.BytesIO(data)))
