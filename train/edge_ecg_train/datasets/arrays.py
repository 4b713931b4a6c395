"""Reading the compact form of a data set: one .npz of ADC integers beside one .csv table."""

from __future__ import annotations

import csv
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import DataError

# What a cut, overwritten or foreign .npz makes numpy and zipfile raise. The file is opened here and not by
# numpy, which forgets to close it when it is damaged.
_DAMAGE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)


def read_array(path: Path, key: str) -> NDArray[np.generic]:
    """Read one array of an .npz; only that array is decompressed.

    Raises
    ------
    DataError
        When the file is missing or damaged, or has no such key.

    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            array: NDArray[np.generic] = archive[key]
    except KeyError:
        raise DataError(f"{path.name} has no recording {key}.", remedy="Get the file again.") from None
    except FileNotFoundError:
        raise DataError(f"{path} is missing.", remedy="Get the file again.") from None
    except _DAMAGE as error:
        raise DataError(
            f"{path.name} is damaged at {key}.", why=f"{error}.", remedy="Get the file again."
        ) from None
    if array.dtype.kind not in "iu":
        raise DataError(f"{key} in {path.name} is {array.dtype}, not integers of a converter.")
    return array


def keys_of(path: Path) -> list[str]:
    """Names of the arrays in an .npz, without reading them.

    Raises
    ------
    DataError
        When the file is missing or is no .npz.

    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return list(archive.files)
    except FileNotFoundError:
        raise DataError(f"{path} is missing.", remedy="Get the file again.") from None
    except (*_DAMAGE, AttributeError) as error:
        raise DataError(f"{path.name} is damaged.", why=f"{error}.", remedy="Get the file again.") from None


def array_length(path: Path, key: str) -> int:
    """Length of the last axis of an array in an .npz, from its header alone.

    Raises
    ------
    DataError
        When the file is damaged.

    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as member:
            version = np.lib.format.read_magic(member)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, _ = read(member)
    except (*_DAMAGE, KeyError) as error:
        raise DataError(
            f"{path.name} is damaged at {key}.", why=f"{error}.", remedy="Get the file again."
        ) from None
    return int(shape[-1])


def read_table(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Read a .csv as one dictionary a row.

    Raises
    ------
    DataError
        When the file is missing, is not text, or lacks one of ``columns``.

    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            header = reader.fieldnames or []
    except FileNotFoundError:
        raise DataError(f"{path} is missing.", remedy="Get the file again.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read as a table.", why=f"{error}.", remedy="Get the file again."
        ) from None
    absent = [column for column in columns if column not in header]
    if absent:
        raise DataError(
            f"{path} has no column {', '.join(absent)}.",
            why=f"Its columns are {', '.join(header)}.",
            remedy="Get the file again.",
        )
    return rows


def number(row: dict[str, str], column: str, path: Path) -> float:
    """A table cell as a number.

    Raises
    ------
    DataError
        When it is none.

    """
    try:
        return float(row[column])
    except (TypeError, ValueError):
        raise DataError(
            f"{path} has {row[column]!r} where a number is expected (column {column}).",
            remedy="Get the file again.",
        ) from None
