"""What is built into the wheels: shared libraries in them, what they list, and what is known of them.

A wheel's own metadata speaks of the package alone. Three sources tell more: its list of files (RECORD, with
their hashes), the bills of materials that newer wheels carry in ``.dist-info/sboms`` (PEP 770, CycloneDX),
and the table here, which says what is linked into the binaries and by what that was found out.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.metadata import Distribution, PackagePath
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from .components import Component
from .policy import judge
from .spdx import licences


class _File(NamedTuple):
    """Shared libraries of one kind: where they are, what they are (empty: the package's own), the licence."""

    package: str
    pattern: str
    name: str = ""
    licence: str = ""


class _Linked(NamedTuple):
    """Something that is compiled into a package's own binaries."""

    package: str
    name: str
    licence: str


_FILES = (
    _File("numpy", "numpy.libs/libscipy_openblas*", "openblas", "BSD-3-Clause AND BSD-3-Clause-Open-MPI"),
    _File("numpy", "numpy.libs/libgfortran*", "libgfortran", "GPL-3.0-or-later WITH GCC-exception-3.1"),
    _File("numpy", "numpy.libs/libquadmath*", "libquadmath", "LGPL-2.1-or-later"),
    _File("h5py", "h5py.libs/libhdf5*", "hdf5", "HDF5"),
    _File("h5py", "h5py.libs/libaec*", "libaec", "BSD-2-Clause"),
    _File("h5py", "h5py.libs/libsz*", "libaec", "BSD-2-Clause"),
    _File("pylsl", "pylsl/lib/liblsl*", "liblsl", "MIT"),
    _File("ai-edge-litert", "ai_edge_litert/*"),
    _File("onnxruntime", "onnxruntime/capi/*"),
)
_BY = {
    "ai-edge-litert": "names in the binaries of ai-edge-litert 2.3.0 for x86-64 and arm64",
    "tflite-runtime": "names in the binary of tflite-runtime 2.14.0 for x86-64",
    "onnxruntime": "ThirdPartyNotices.txt and names in the binaries of onnxruntime 1.32.0",
    "samplerate": "names in the binary of samplerate 0.2.4",
    "cffi": "names in the binary of cffi 2.1.1",
    "pylsl": "names in the binary of liblsl 1.18",
    "h5py": "its licence files",
}
_LICENCES = {
    "abseil": "Apache-2.0",
    "cpuinfo": "BSD-2-Clause",
    "dawn": "BSD-3-Clause",
    "eigen": "MPL-2.0",
    "farmhash": "MIT",
    "fft2d": "LicenseRef-Ooura",
    "flatbuffers": "Apache-2.0",
    "gemmlowp": "Apache-2.0",
    "kleidiai": "Apache-2.0",
    "protobuf": "BSD-3-Clause",
    "pthreadpool": "BSD-2-Clause",
    "re2": "BSD-3-Clause",
    "ruy": "Apache-2.0",
    "xnnpack": "BSD-3-Clause",
}
_TFLITE = "abseil cpuinfo eigen farmhash fft2d flatbuffers gemmlowp pthreadpool ruy xnnpack"
_IN = {
    "ai-edge-litert": f"{_TFLITE} dawn kleidiai protobuf",
    "tflite-runtime": _TFLITE,
    "onnxruntime": "abseil cpuinfo eigen flatbuffers kleidiai protobuf re2",
}
_LINKED = (
    _Linked("samplerate", "libsamplerate", "BSD-2-Clause"),
    _Linked("cffi", "libffi", "MIT"),
    _Linked("pylsl", "boost-asio", "BSL-1.0"),
    _Linked("pylsl", "loguru", "Unlicense"),
    _Linked("pylsl", "pugixml", "MIT"),
    _Linked("h5py", "lzf", "BSD-3-Clause"),
    *(_Linked(package, name, _LICENCES[name]) for package, names in _IN.items() for name in names.split()),
)
# Parts that a wheel lists without their licence.
_UNNAMED = {"openssl": "Apache-2.0"}
_SHARED = re.compile(r"lib[^/]*\.(?:so(?:\.[0-9.]+)?|dylib)|[^/]*\.dll")
_MAX_BYTES = 16 * 1024 * 1024


def bundled(name: str, distribution: Distribution) -> tuple[Component, ...]:
    """Return the parts of an installed package by its normalised name, in the order of their names."""
    files = list(distribution.files or ())
    parts = [*_shared_libraries(name, files), *_listed(files)]
    by = _BY.get(name, "")
    parts += [
        Component(part, "", licence, judge(part, licence), source=by)
        for package, part, licence in _LINKED
        if package == name
    ]
    return tuple(sorted(set(parts), key=lambda part: (part.name, part.version, part.file)))


def record_sha256(file: PackagePath) -> str:
    """The hex digest that RECORD gives for a file; empty where it gives none."""
    if file.hash is None or file.hash.mode != "sha256":
        return ""
    value = file.hash.value
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()


def _shared_libraries(package: str, files: list[PackagePath]) -> Iterator[Component]:
    for file in files:
        if _SHARED.fullmatch(PurePosixPath(file).name) is None:
            continue
        known = next(
            (one for one in _FILES if one.package == package and fnmatch(str(file), one.pattern)), None
        )
        if known is not None and not known.name:
            continue
        name = PurePosixPath(file).name if known is None else known.name
        licence = None if known is None else known.licence
        source = "a shared library in the wheel"
        yield Component(
            name, "", licence, judge(name, licence), source=source, sha256=record_sha256(file), file=str(file)
        )


def _listed(files: list[PackagePath]) -> Iterator[Component]:
    """What the wheel's own bills of materials list (PEP 770)."""
    for file in files:
        folders = PurePosixPath(file).parts
        if len(folders) < 3 or not folders[0].endswith(".dist-info") or folders[1] != "sboms":
            continue
        if file.suffix != ".json":
            continue
        try:
            with open(file.locate(), "rb") as opened:
                document = json.loads(opened.read(_MAX_BYTES))
            entries = document["components"]
            assert isinstance(entries, list)
            yield from (_listed_part(entry, file.name) for entry in entries if not _is_package(entry))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError, RecursionError):
            name = f"what {file.name} lists"
            yield Component(
                name, "", None, judge(name, None), source="a bill of materials that cannot be read"
            )


def _is_package(entry: dict[str, Any]) -> bool:
    """Whether an entry is the wheel itself: auditwheel lists that first."""
    return str(entry.get("purl", "")).startswith("pkg:pypi/")


def _listed_part(entry: dict[str, Any], file: str) -> Component:
    name = str(entry["name"])
    licence = _expression(entry.get("licenses") or []) or _UNNAMED.get(name)
    return Component(
        name,
        str(entry.get("version") or ""),
        licence,
        judge(name, licence),
        # What is of the machine that built the wheel says nothing.
        purl=re.sub(r"\?download_url=file:.*", "", str(entry.get("purl") or "")),
        source=f"the wheel's own list, {file}",
    )


def _expression(entries: list[dict[str, Any]]) -> str | None:
    """A CycloneDX list of licences as one expression; all of several hold."""
    found = []
    for entry in entries:
        text = entry.get("expression") or (entry.get("license") or {}).get("id")
        try:
            licences(str(text or ""))
        except ValueError:
            return None
        found.append(str(text))
    if len(found) > 1:
        found = [f"({one})" if " OR " in one else one for one in found]
    return " AND ".join(found) or None
