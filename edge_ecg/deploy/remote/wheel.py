"""The wheel of edge-ecg as it runs here: what goes to a device is what was tried on the workstation.

It is written from the imported packages themselves, so it is the same for an installed, an editable and a
checked-out edge-ecg, and needs no build tool and no network. Only the runtime is in it (``edge_ecg``,
``edge_ecg_bridge``); training and export stay where they are. The same files give the same bytes: no times,
one order. Format: the binary distribution format of the Python packaging specifications (wheel 1.0).
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib import import_module, metadata
from pathlib import Path

from ..._version import __version__

PACKAGES = ("edge_ecg", "edge_ecg_bridge")
_NAME = "edge_ecg"
_LEFT_OUT = ("__pycache__",)
_EPOCH = (1980, 1, 1, 0, 0, 0)
_WHEEL = "Wheel-Version: 1.0\nGenerator: edge-ecg flash\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel_name(version: str = __version__) -> str:
    """Return the file name of the wheel."""
    return f"{_NAME}-{version}-py3-none-any.whl"


@cache
def build_wheel() -> bytes:
    """Return the wheel of the running edge-ecg."""
    info = f"{_NAME}-{__version__}.dist-info"
    contents = dict(_package_files())
    contents[f"{info}/METADATA"] = _metadata().encode()
    contents[f"{info}/WHEEL"] = _WHEEL.encode()
    contents[f"{info}/entry_points.txt"] = b"[console_scripts]\nedge-ecg = edge_ecg.cli:main\n"
    licence = _licence()
    if licence is not None:
        contents[f"{info}/licenses/LICENSE"] = licence
    record = f"{info}/RECORD"
    contents[record] = _record(contents, record).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    return out.getvalue()


def _package_files() -> Iterator[tuple[str, bytes]]:
    for package in PACKAGES:
        file = import_module(package).__file__
        assert file is not None
        folder = Path(file).parent
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder.parent)
            if path.is_file() and not any(part in _LEFT_OUT for part in inside.parts):
                yield inside.as_posix(), path.read_bytes()


def _metadata() -> str:
    lines = ["Metadata-Version: 2.1", "Name: edge-ecg", f"Version: {__version__}", "Requires-Python: >=3.11"]
    lines.append("License: Apache-2.0")
    try:
        needed = metadata.requires("edge-ecg") or []
    except metadata.PackageNotFoundError:
        needed = []
    lines += [f"Requires-Dist: {one}" for one in needed if "extra ==" not in one]
    return "\n".join(lines) + "\n"


def _licence() -> bytes | None:
    """Return the text of the licence: from a checkout, or from what is installed."""
    file = import_module("edge_ecg").__file__
    assert file is not None
    beside = Path(file).parent.parent / "LICENSE"
    if beside.is_file():
        return beside.read_bytes()
    try:
        listed = metadata.files("edge-ecg") or []
    except metadata.PackageNotFoundError:
        return None
    for path in listed:
        if path.name == "LICENSE" and ".dist-info" in str(path):
            return path.read_binary()
    return None


def _record(contents: dict[str, bytes], record: str) -> str:
    rows = []
    for name, data in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(data)}")
    return "\n".join([*rows, f"{record},,"]) + "\n"
