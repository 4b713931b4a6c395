"""Reading a pickle of NumPy arrays without running anything that it names.

A pickle is a program: it may import and call whatever it likes, and ``pickle.load`` obeys. Here the few names
that arrays need stand for harmless classes of this module, which only keep what they are given; every other
name is refused before it is looked up. Arrays become arrays when they are asked for, numbers only.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import DataError

_NUMBERS = re.compile(r"[fiub][1248]")
_ORDERS = frozenset("<>=|")


class PickledArray:
    """An array of numbers as its pickle describes it; :meth:`array` makes it."""

    __slots__ = ("_state",)

    def __init__(self, *_: object) -> None:
        self._state: Any = None

    def __setstate__(self, state: object) -> None:
        self._state = state

    def array(self) -> NDArray[np.generic]:
        """Read-only array of numbers.

        Raises
        ------
        ValueError
            When the description makes no array of numbers.

        """
        if not (isinstance(self._state, tuple) and len(self._state) == 5):
            raise ValueError("an array is not described")
        _, shape, dtype, fortran, raw = self._state
        if not (isinstance(dtype, _Dtype) and isinstance(raw, str | bytes) and isinstance(shape, tuple)):
            raise ValueError("an array is not made of numbers")
        # Python 2 wrote the bytes as a string; read as Latin-1, a character is a byte.
        data = raw.encode("latin1") if isinstance(raw, str) else raw
        try:
            return np.frombuffer(data, dtype.numpy()).reshape(shape, order="F" if fortran else "C")
        except (TypeError, OverflowError) as error:
            raise ValueError(f"an array has the shape {shape!r}") from error


class _Dtype:
    __slots__ = ("_name", "_order")

    def __init__(self, name: object = "", *_: object) -> None:
        self._name = name
        self._order: object = "|"

    def __setstate__(self, state: Any) -> None:
        self._order = state[1]

    def numpy(self) -> np.dtype[Any]:
        if not (isinstance(self._name, str) and _NUMBERS.fullmatch(self._name)):
            raise ValueError(f"an array is of {self._name!r}, not of numbers")
        if not (isinstance(self._order, str) and self._order in _ORDERS):
            raise ValueError(f"the byte order of an array is {self._order!r}")
        return np.dtype(self._order + self._name)


class _Bytes(bytes):
    """What Python 3 calls to put bytes into a pickle of protocol 2 or older: ``_codecs.encode``."""

    def __new__(cls, text: str, encoding: str) -> _Bytes:
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"bytes are encoded as {encoding!r}")
        return super().__new__(cls, text.encode("latin1"))

    def __setstate__(self, _: object) -> NoReturn:
        raise pickle.UnpicklingError("bytes have no state")


# Only classes with a __setstate__, so that a pickle cannot change an attribute of anything here either.
_NAMES: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): PickledArray,
    ("numpy.core.multiarray", "_reconstruct"): PickledArray,
    ("numpy._core.multiarray", "_reconstruct"): PickledArray,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Bytes,
}


class _RefusedError(Exception):
    """The pickle names something that no array needs."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None


def read_plain_pickle(path: Path) -> object:
    """Read a pickle of dictionaries, lists, strings, numbers and arrays, written by Python 2 or 3.

    Returns
    -------
    The nested containers; each array in them is a :class:`PickledArray`.

    Raises
    ------
    DataError
        When the file is missing or damaged, or names anything else; nothing of it is run.

    """
    try:
        with path.open("rb") as file:
            return _Unpickler(file, encoding="latin1").load()
    except FileNotFoundError:
        raise DataError(f"{path} is missing.", remedy="Get the file again.") from None
    except _RefusedError as refused:
        raise DataError(
            f"{path.name} is refused: it asks for {refused}.",
            why="A pickle can run programs. This one names something that no recording needs.",
            remedy="Do not open it with anything else. Get the file from its owners.",
        ) from None
    except Exception as error:  # the pickle module names no end to what damaged bytes may raise
        raise DataError(
            f"{path.name} is damaged.",
            why=f"It is no whole pickle: {error or type(error).__name__}.",
            remedy="Get the file again.",
        ) from None
