"""The table of formats, and how a file's is found: by its first bytes, then by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from ...errors import DataError
from .numpy_header import MAGIC as NPY_MAGIC
from .options import FileOptions
from .recording import Recording, reading

_TEXT = ("channel", "fs", "unit", "scale", "offset", "separator")
_HEAD_BYTES = 4096
_NAMES = (".edf", ".hea", ".csv", ".tsv", ".txt", ".h5", ".hdf5", ".npz", ".npy", ".gz")


@dataclass(frozen=True, slots=True)
class FileFormat:
    """One format: its name, where its reader is (imported when used), and the options that it understands."""

    name: str
    module: str
    function: str
    options: tuple[str, ...]


FORMATS: dict[str, FileFormat] = {
    "edf": FileFormat("EDF", "edf", "open_edf", ("channel", "unit", "partial")),
    "wfdb": FileFormat("WFDB", "wfdb_record", "open_wfdb", ("channel", "unit", "scale", "partial")),
    "opensignals-text": FileFormat(
        "OpenSignals text",
        "opensignals_text",
        "open_opensignals_text",
        ("channel", "unit", "scale", "offset"),
    ),
    "opensignals-h5": FileFormat(
        "OpenSignals HDF5", "opensignals_h5", "open_opensignals_h5", ("channel", "unit", "scale", "offset")
    ),
    "numpy": FileFormat(
        "NumPy", "numpy_file", "open_numpy", ("channel", "key", "fs", "unit", "scale", "offset")
    ),
    "text": FileFormat("CSV", "text", "open_text", _TEXT),
}

# Formats that are recognised only to say what to do with them.
_FOREIGN: dict[bytes, tuple[str, str]] = {
    b"\xffBIOSEMI": ("a BDF file (24-bit)", "Convert it to EDF+, for example with EDFbrowser."),
    b"MATLAB 5.0": ("a MATLAB file", "In MATLAB: writematrix of the time and ECG columns to a .csv file."),
    b"GDF ": ("a GDF file", "Convert it to EDF+."),
    b"XDF:": ("an XDF file", "Export its ECG stream as CSV or EDF+, for example with MNELAB."),
    b"\xff\xfe": ("a text file in UTF-16", "Save it as UTF-8."),
    b"\xfe\xff": ("a text file in UTF-16", "Save it as UTF-8."),
}


def find_format(path: Path) -> tuple[FileFormat, Path]:
    """Return the format of a file, and the file to open (a WFDB header for its signal file).

    Raises
    ------
    DataError
        When there is no such file, it is a folder, empty, or of no format that is read here.

    """
    path = _existing(path)
    with reading(path, "a recording"), path.open("rb") as file:
        start = file.read(_HEAD_BYTES)
    if not start:
        raise DataError(
            f"{path.name} is empty.",
            remedy="The recorder or the copy was stopped before it wrote: copy it again.",
        )
    for magic, (what, remedy) in _FOREIGN.items():
        if start.startswith(magic):
            raise DataError(f"{path.name} is {what}, which edge-ecg does not read.", remedy=remedy)
    kind = _kind(path, start)
    if kind is None:
        raise DataError(
            f"edge-ecg does not know the format of {path.name}.",
            why=f"It begins with {start[:6].hex(' ')}, and its name ends in {path.suffix or 'nothing'}.",
            remedy="It reads EDF/EDF+, WFDB, CSV, OpenSignals text and HDF5, .npz and .npy: convert it.",
        )
    return FORMATS[kind], path


def open_recording(form: FileFormat, path: Path, options: FileOptions) -> Recording:
    """Open a file whose format is known; DataError when it is damaged or holds no ECG."""
    opener = cast(
        Callable[[Path, FileOptions], Recording],
        getattr(import_module(f"{__package__}.{form.module}"), form.function),
    )
    with reading(path, form.name):
        return opener(path, options)


def _existing(path: Path) -> Path:
    """The file itself, or the ``.hea`` that a WFDB record's name or signal file stands for."""
    with reading(path, "a recording"):
        if path.is_dir():
            raise _folder(path)
        header = path.with_name(f"{path.name}.hea")
        if not path.exists() and header.is_file():
            return header
        if not path.exists():
            raise DataError(f"{path} does not exist.", remedy="Check the spelling and the folder.")
        if not path.is_file():
            raise DataError(f"{path} is not a file.", remedy="Give a port without file: in front of it.")
        header = path.with_suffix(".hea")
        if path.suffix.lower() in (".dat", ".xyz", ".mat") and header.is_file():
            return header
    return path


def _folder(path: Path) -> DataError:
    names = sorted(entry.name for entry in path.iterdir() if entry.is_file())
    likely = [name for name in names if Path(name).suffix.lower() in _NAMES] or names
    held = (
        f"It holds {', '.join(likely[:6])}{', ...' if len(likely) > 6 else ''}." if likely else "It is empty."
    )
    example = f", for example file:{path / likely[0]}" if likely else ""
    return DataError(f"{path} is a folder, not a recording.", why=held, remedy=f"Give one file{example}")


def _kind(path: Path, start: bytes) -> str | None:
    name = path.suffix.lower()
    if start[:8] == b"0       ":
        return "edf"
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return "opensignals-h5"
    if start.startswith((NPY_MAGIC, b"PK\x03\x04")):
        return "numpy"
    if name == ".hea":
        return "wfdb"
    if name in (".edf", ".npz", ".npy", ".h5", ".hdf5"):
        # Named like one and not begun like one: its reader says what is wrong.
        return {".edf": "edf", ".npz": "numpy", ".npy": "numpy"}.get(name, "opensignals-h5")
    if start.removeprefix(b"\xef\xbb\xbf").startswith(b"# OpenSignals"):
        return "opensignals-text"
    if start.startswith(b"\x1f\x8b") or _is_text(start):
        return "text"
    return None


def _is_text(start: bytes) -> bool:
    control = sum(byte < 32 and byte not in b"\t\r\n\f" for byte in start)
    return b"\x00" not in start and control == 0
