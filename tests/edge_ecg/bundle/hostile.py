"""Files that want something from whoever opens them; each name says what."""

from __future__ import annotations

import bz2
import io
import json
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge_ecg.bundle import EncoderSpec, Manifest, TaskSpec, bundle_bytes
from edge_ecg.bundle.archive import pack, unpack
from edge_ecg.heads import MlpHead

Case = tuple[str, bytes]
ONNX, TFLITE, HEAD, GOLDEN = "encoder.fp32.onnx", "encoder.int8.tflite", "heads/stress.npz", "golden.npz"
# An ONNX model of one empty graph: enough to pass for one as long as nobody runs it.
EMPTY_ONNX = b"\x3a\x00"


class Payload:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.write_text, (self.path, "unpickled"))


def plain(manifest: Manifest, files: dict[str, bytes] | None = None) -> bytes:
    """A bundle as small as can be, of which ``edge-ecg verify`` finds nothing wrong, with other files."""
    contents = {ONNX: EMPTY_ONNX, HEAD: npz(), "CARD.md": b"# Card\n", **(files or {})}
    engines = {"onnx-fp32": ONNX} | ({"litert-int8": TFLITE} if TFLITE in contents else {})
    small = replace(
        manifest,
        tasks={"stress": TaskSpec(("rest", "stress"), HEAD)},
        engines=engines,
        encoder=EncoderSpec(embedding=2),
    )
    return bundle_bytes(small, contents)


def npz(**changes: object) -> bytes:
    """A head for two values, with other arrays."""
    stream = io.BytesIO()
    if not changes:
        MlpHead([0, 0], [1, 1], [np.ones((2, 1))], [np.zeros(1)]).save(stream)
        return stream.getvalue()
    head = {"mean": np.zeros(2), "scale": np.ones(2), "w0": np.ones((2, 1)), "b0": np.zeros(1)}
    np.savez(stream, **(head | {"temperature": np.array(1.0)} | changes))  # type: ignore[arg-type]
    return stream.getvalue()


def containers(manifest: Manifest) -> Iterator[Case]:
    """Archives that lie, or are of another kind."""
    good = plain(manifest)
    entries = unpack(good)

    def by_zipfile(method: int, make: Callable[[zipfile.ZipFile], None] | None = None) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as archive:
            for name, content in entries:
                info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                info.compress_type = method
                info.create_system = 3
                info.external_attr = 0o100644 << 16
                archive.writestr(info, content)
            if make is not None:
                make(archive)
        return stream.getvalue()

    def patched(at: int, value: bytes, data: bytes = good) -> bytes:
        return data[:at] + value + data[at + len(value) :]

    # The head is an archive, too: what is wanted is the outer directory.
    end = good.rindex(b"PK\x05\x06")
    (directory,) = struct.unpack_from("<I", good, end + 16)
    yield "deflated", by_zipfile(zipfile.ZIP_DEFLATED)
    yield "bzip2", by_zipfile(zipfile.ZIP_BZIP2)
    yield "lzma", by_zipfile(zipfile.ZIP_LZMA)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", bytes(2**28))
    yield "bomb of 256 MiB", bomb.getvalue()
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("manifest.json", bomb.getvalue())
    yield "bomb in a stored entry", nested.getvalue()
    yield "bomb in a canonical archive", pack([("manifest.json", bomb.getvalue())])
    for size in (len(good), 2**31, 2**32 - 2, 2**32 - 1):
        for field, where in (("stored", 18), ("unpacked", 22)):
            yield f"local header claims {size} {field}", patched(where, struct.pack("<I", size))
        yield f"local header claims {size}", patched(18, struct.pack("<II", size, size))
        yield f"directory claims {size}", patched(directory + 20, struct.pack("<II", size, size))
        yield f"end claims a directory of {size}", patched(end + 12, struct.pack("<I", size))
        yield f"end claims a directory at {size}", patched(end + 16, struct.pack("<I", size))
    yield "name of 65535 letters", patched(26, b"\xff\xff")
    yield "extra field of 65535 bytes", patched(28, b"\xff\xff")
    yield "comment of 65535 bytes", patched(end + 20, b"\xff\xff")
    yield "count of 65535", patched(end + 8, b"\xff\xff\xff\xff")
    for bit, what in enumerate(
        ("encrypted", "", "", "sizes behind", "", "patched", "strong", "", "", "", "", "UTF-8")
    ):
        yield f"flag {bit} {what}", patched(6, struct.pack("<H", 1 << bit))
    yield "on the second disk", patched(end + 4, b"\1\0\1\0")
    for mode, what in ((0o120777, "link"), (0o040755, "folder"), (0o020666, "device"), (0o104755, "setuid")):
        yield f"mode of a {what}", patched(directory + 38, struct.pack("<I", mode << 16))

    def linked(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("link", (1980, 1, 1, 0, 0, 0))
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, "/etc/passwd")

    def commented(archive: zipfile.ZipFile) -> None:
        archive.comment = b"hello"

    yield "link to /etc/passwd", by_zipfile(zipfile.ZIP_STORED, linked)
    yield "comment", by_zipfile(zipfile.ZIP_STORED, commented)
    yield "folder entry", by_zipfile(zipfile.ZIP_STORED, lambda archive: archive.mkdir("heads"))
    zip64 = struct.pack("<HHQQ", 1, 16, 2**63, 2**63)
    head = patched(28, struct.pack("<H", len(zip64)), patched(18, b"\xff" * 8))
    name_end = 30 + len("manifest.json")
    yield "zip64 sizes", head[:name_end] + zip64 + head[name_end:]
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(good), 1)
    yield "zip64 locator", good[:end] + locator + good[end:]
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 2**62, 2**62, 2**62, 2**62)
    yield "zip64 directory", good[:end] + record + locator + good[end:]
    local = b"PK\x03\x04" + good[4:directory]
    yield "no directory", local
    yield "directory only", good[directory:]
    yield "end only", good[end:]
    one = good[directory : directory + 46 + len("CARD.md")]
    yield "all entries overlap", good[:directory] + one * 10_000 + good[end:]
    yield "before it a program", b"#!/bin/sh\nrm -rf /\n" + good
    yield "behind it another", good + good
    empty = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 0, 0, 0x21, 0, 0, 0, 1, 0) + b"a"
    for count in (257, 70_000):
        yield f"{count} empty entries", empty * count
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../../evil"))
    yield "tar", tar.getvalue()
    yield "gzip", zlib.compress(good, wbits=31)
    yield "bz2", bz2.compress(good)
    yield "ELF", b"\x7fELF" + bytes(100)
    yield "nothing", b""
    yield "a letter", b"P"


def manifests(manifest: Manifest) -> Iterator[Case]:
    """Manifests that are too much, beside right files."""
    entries = unpack(plain(manifest))
    document = json.loads(entries[0][1])

    def with_text(text: bytes) -> bytes:
        return pack([("manifest.json", text), *entries[1:]])

    def changed(path: str, value: object) -> bytes:
        copy = json.loads(json.dumps(document))
        *way, last = path.split("/")
        inner = copy
        for key in way:
            inner = inner[key]
        inner[last] = value
        return with_text(json.dumps(copy).encode())

    whole = json.dumps({key: value for key, value in document.items() if key != "card"})[:-1].encode()
    for what, more in (
        ("arrays side by side", b"[" + b"[]," * 170_000 + b"0]"),
        ("objects side by side", b"[" + b"{}," * 170_000 + b"0]"),
        ("one long text", b'"' + b"a" * 510_000 + b'"'),
        ("text beyond the bound", b'"' + b"a" * 2**20 + b'"'),
        ("text of 32 MiB", b'"' + b"a" * 2**25 + b'"'),
    ):
        yield what, with_text(whole + b', "card": ' + more + b"}")
    for depth in (40, 900, 1000, 5000, 100_000):
        yield f"{depth} arrays deep", with_text(whole + b', "x": ' + b"[" * depth + b"]" * depth + b"}")
        yield (
            f"{depth} objects deep",
            with_text(whole + b', "x": ' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"),
        )
        yield f"{depth} arrays deep and open", with_text(b"[" * depth)
    for number in (
        "1e999",
        "-1e999",
        "NaN",
        "Infinity",
        "9" * 19,
        "9" * 5000,
        "9" * 500_000,
        "1" + "0" * 400 + ".5",
    ):
        yield f"number {number[:20]}", with_text(whole + b', "x": ' + number.encode() + b"}")
    yield "a key twice", with_text(whole + b', "schema": 1}')
    yield "half a pair", with_text(whole + b', "x": "\\ud800"}')
    yield "UTF-16", with_text(json.dumps(document).encode("utf-16"))
    yield "a byte order mark", with_text(b"\xef\xbb\xbf" + json.dumps(document).encode())
    yield "no JSON", with_text(pickle.dumps(document))
    for path, values in {
        "name": (
            "",
            "..",
            "../x",
            "a/b",
            "a b",
            ".a",
            "-a",
            "a\0",
            "a\x1b[2J",
            "ä",
            "a" * 65,
            1,
            None,
            ["a"],
        ),
        "version": ("", "\x1b[2J", "a\nb", None, 1, "x" * 501),
        "created": ("", "\r", None),
        "schema": (0, 2, -1, True, "1", 2**70, None, 1.0),
        "minimum_runtime": ("99.0.0", "x", "1", "", "\u0661.0.0", None, 1),
        "input": (None, [], "x"),
        "input/fs_hz": (0, -1, "256", None, True, 1e308 * 10),
        "input/window_samples": (0, -1, 2**53 + 1, 10**17, 1.5, None),
        "input/preprocessing/notch_hz": (0, 128, 1e300, "50"),
        "input/preprocessing/highpass_hz": (0, 128, 1e300, None),
        "input/preprocessing/normalisation": ("other", "", None, []),
        "encoder/embedding": (0, -1, 1, 3, 10**17, 2**53 + 1, None),
        "encoder/architecture": ("\x1b]0;title\x07", "", None),
        "tasks": ([], None, {"\x1b[2J": document["tasks"]["stress"]}, {"": document["tasks"]["stress"]}),
        "tasks/stress/labels": (
            [],
            ["a"],
            ["a", "a"],
            ["a", ""],
            ["a", "b", "c"],
            ["a", "\u202eb"],
            "ab",
            None,
        ),
        "tasks/stress/head": ("../x", "CARD.md", "manifest.json", "manifest.sig", "", None),
        "tasks/stress/min_confidence": (-1, 2, None, "0.5"),
        "tasks/stress/context_s": (-1, 3601, 1e300),
        "tasks/stress/features": (["no such"], "x", [1], ["mean_rr_ms"] * 2),
        "engines/onnx-fp32": ("../x", "manifest.json", "", None, HEAD),
        "files": ([], None, {}),
        "files/CARD.md/bytes": (0, -1, 8, 2**53 + 1, 10**17, "7", None, 7.0),
        "files/CARD.md/sha256": ("", "0" * 64, "0" * 63, "A" * 64, None, 0),
        "files/manifest.json": ({"bytes": 0, "sha256": "0" * 64},),
        "files/..": ({"bytes": 0, "sha256": "0" * 64},),
    }.items():
        for value in values:
            if value != value or value in (float("inf"),):
                continue
            yield f"{path} = {str(value)[:30]!r}", changed(path, value)


def arrays(manifest: Manifest, mark: Path) -> Iterator[Case]:
    """Heads that are more than plain numbers; some stand in for golden windows, too."""
    pickled = io.BytesIO()
    np.save(pickled, np.array([Payload(mark)], dtype=object), allow_pickle=True)

    def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return stream.getvalue()

    def npy(descr: str, shape: str, body: bytes = b"", *, more: str = "", version: int = 1) -> bytes:
        header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, {more}}}\n".encode()
        length = struct.pack("<H" if version == 1 else "<I", len(header))
        return b"\x93NUMPY" + bytes([version, 0]) + length + header + body

    good = {name: content for name, content in zip_members(npz()).items() if name != "mean.npy"}

    def head(mean: bytes) -> bytes:
        return zipped({"mean.npy": mean, **good})

    numbers = np.zeros(2, np.float32).tobytes()
    cases: dict[str, bytes] = {
        "pickled objects": head(pickled.getvalue()),
        "a pickle as an array": head(pickle.dumps(Payload(mark))),
        "a pickle": pickle.dumps(Payload(mark)),
        "a pickle named .pkl": zipped({"mean.pkl": pickle.dumps(Payload(mark)), **good}),
        "objects": npz(mean=np.array([None, None])),
        "texts": npz(mean=np.array(["a", "b"])),
        "records": npz(mean=np.zeros(2, dtype=[("a", "<f4")])),
        "complex numbers": npz(mean=np.zeros(2, complex)),
        "half precision": npz(mean=np.zeros(2, np.float16)),
        "dates": npz(mean=np.zeros(2, "datetime64[s]")),
        "big-endian": npz(mean=np.zeros(2, ">f4")),
        "too large for float32": npz(mean=np.full(2, 1e300)),
        "not finite": npz(mean=np.array([np.nan, np.inf])),
        "a scale of zero": npz(scale=np.zeros(2)),
        "no arrays": zipped({}),
        "300 arrays": zipped({f"w{index}.npy": npy("'<f4'", "()", b"0000") for index in range(300)}),
        "70,000 arrays": zipped(dict.fromkeys((f"{index}.npy" for index in range(70_000)), b"")),
        "compressed": zipped(zip_members(npz()), zipfile.ZIP_DEFLATED),
        "bomb of 256 MiB": zipped(
            {"mean.npy": npy("'<f4'", "(67108864,)", bytes(2**28)), **good}, zipfile.ZIP_DEFLATED
        ),
        "eval": head(npy("__import__('os').system('true')", "(2,)", numbers)),
        "deep header": head(npy("(" * 5000 + ")" * 5000, "(2,)", numbers)),
        "minus signs": head(npy("'<f4'", f"({'-' * 9000}1,)", numbers)),
        "long header": head(npy("'<f4'", "(2,)", numbers, more=" " * 60_000)),
        "header of 4 GiB": head(b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"{" * 100),
        "second version": head(npy("'<f4'", "(2,)", numbers, version=2)),
        "third version": head(npy("'<f4'", "(2,)", numbers, version=3)),
        "no header": head(b"\x93NUMPY\x01\x00"),
        "nothing": head(b""),
        "no ZIP": b"PK\x03\x04" * 10,
        "cut short": npz()[:-1],
        "a comment": npz()[:-2] + b"\x05\x00hello",
    }  # fmt: skip
    shapes = (
        "(1099511627776,)", "(999999999,)", "(999999999, 999999999, 999999999, 999999999)", "(0, 999999999)",
        "(2**40,)", "(3,)", "(1,)", "()", "(-2,)", "(2, 1, 1, 1, 1)", "(True, 2)", "[2]", "(2.0,)",
    )  # fmt: skip
    for shape in shapes:
        cases[f"shape {shape}"] = head(npy("'<f4'", shape, numbers))
    for descr in (
        "'|O'",
        "'<V100000000'",
        "'<U1000000'",
        "[('a', '<f4')]",
        "('<f4', (1000000000,))",
        "'|S4'",
        "'<c8'",
    ):
        cases[f"type {descr}"] = head(npy(descr, "(2,)", numbers))
    whole = npz()
    end = whole.index(b"PK\x05\x06")
    directory = whole.index(b"PK\x01\x02")
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, 0, 1)
    cases["zip64 locator"] = whole[:end] + locator + whole[end:]
    cases["directory of 4 GiB"] = whole[: end + 12] + b"\xff" * 4 + whole[end + 16 :]
    cases["sizes of 2 GiB"] = (
        whole[: directory + 20] + struct.pack("<II", 2**31, 2**31) + whole[directory + 28 :]
    )
    cases["encrypted"] = whole[: directory + 8] + b"\x01" + whole[directory + 9 :]
    cases["an array is missing"] = zipped(good)
    cases["an array twice"] = whole.replace(b"scale.npy", b"mean.npy\0")
    for name, content in cases.items():
        yield f"head: {name}", plain(manifest, {HEAD: content})
        if name.startswith(
            ("pickle", "a pickle", "objects", "bomb", "shape (99", "header", "no ZIP", "an array")
        ):
            yield f"golden: {name}", plain(manifest, {GOLDEN: content})


def zip_members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
