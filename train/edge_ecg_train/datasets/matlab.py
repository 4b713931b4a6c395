"""Reading MATLAB files: only the variables that are asked for, and a sentence for everything that is wrong.

SciPy reads them (format 5, which MATLAB calls v6 and v7). A file of v7.3 is HDF5 and another matter; none of
the data sets here is distributed in it.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterable
from os import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import scipy.io
from numpy.typing import NDArray

from edge_ecg.errors import DataError
from edge_ecg.samples import FloatArray

_V73 = b"MATLAB 7.3"


def read_mat(path: Path, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, NDArray[Any]]:
    """Read named variables; the others are skipped, not loaded.

    Raises
    ------
    DataError
        When the file is missing, damaged or of v7.3, or has not all ``required`` variables.

    """
    required = tuple(required)
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            # SciPy only warns of a variable that it could not read.
            warnings.simplefilter("error")
            if file.read(len(_V73)) == _V73:
                raise DataError(
                    f"{path.name} is a MATLAB file of v7.3.",
                    why="The owners distribute another version: it was saved anew.",
                    remedy="In MATLAB: s = load('F.mat'); save('F.mat', '-struct', 's', '-v7')",
                )
            _check_end(file, path)
            file.seek(0)
            found = scipy.io.loadmat(file, variable_names=[*required, *optional])
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path} is missing.", remedy="Get the file again.") from None
    except Exception as error:  # SciPy names no end to what damaged bytes may raise
        raise damaged(path, f"SciPy says: {error or type(error).__name__}.") from None
    absent = [name for name in required if not isinstance(found.get(name), np.ndarray)]
    if absent:
        raise damaged(path, f"It has no variable {', '.join(absent)}.")
    return {name: value for name, value in found.items() if isinstance(value, np.ndarray)}


def _check_end(file: BinaryIO, path: Path) -> None:
    """Refuse a file that ends inside a variable, also where it is one that nobody asked for.

    After 128 bytes of header, the last two of them "IM" or "MI" for the byte order, each variable begins with
    its type and its length in bytes, four bytes each (MATLAB, "MAT-File Format", version 5).
    """
    size = file.seek(0, SEEK_END)
    file.seek(126)
    order = {b"IM": "<", b"MI": ">"}.get(file.read(2))
    if order is None:
        raise damaged(path, "It is no MATLAB file of format 5.")
    position = 128
    while position < size:
        file.seek(position)
        tag = file.read(8)
        if len(tag) < 8:
            break
        position += 8 + int(struct.unpack(f"{order}II", tag)[1])
    if position != size:
        raise damaged(path, "It is cut short: it ends inside a variable.")


def damaged(path: Path, why: str) -> DataError:
    """Return the error for a file that is not what its name says."""
    return DataError(f"{path.name} is damaged.", why=why, remedy="Get the file again.")


def cells(value: NDArray[Any], what: str, path: Path) -> list[NDArray[Any]]:
    """Arrays in a cell array, whatever its orientation.

    Raises
    ------
    DataError
        When it is none.

    """
    if value.dtype != object or not all(isinstance(one, np.ndarray) for one in value.flat):
        raise damaged(path, f"{what} is no cell array.")
    return list(value.flat)


def struct_field(value: NDArray[Any], name: str, path: Path) -> NDArray[Any]:
    """One field of a 1 by 1 structure.

    Raises
    ------
    DataError
        When there is none, or the array is no single structure.

    """
    if value.dtype.names is None or name not in value.dtype.names or value.size != 1:
        raise damaged(path, f"There is no field {name} where one is expected.")
    content = value[name].flat[0]
    if not isinstance(content, np.ndarray):
        raise damaged(path, f"The field {name} holds nothing.")
    return content


def matrix(value: NDArray[Any], columns: int, what: str, path: Path) -> FloatArray:
    """Numbers of at least so many columns, (n, >= columns) float64.

    Raises
    ------
    DataError
        When they are not numbers or have another shape.

    """
    if value.dtype.kind not in "fiu" or value.ndim != 2 or value.shape[1] < columns:
        raise damaged(path, f"{what} is {value.shape} of {value.dtype}, not numbers in {columns} columns.")
    return value.astype(np.float64)
