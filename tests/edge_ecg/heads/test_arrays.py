"""``.npz`` files of plain numbers: NumPy writes them, and only what it would have written is read."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from edge_ecg.heads.arrays import MAX_BYTES, read_npz

TYPES = st.sampled_from(["<f4", "<f8", "<i4", "<i8", "<u4", "<u8"]).map(np.dtype)
ARRAYS = npst.arrays(TYPES, npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
NAMES = st.text("abcxyz_.019", min_size=1, max_size=12)


def saved(arrays: dict[str, NDArray[np.generic]]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


@given(st.dictionaries(NAMES, ARRAYS, min_size=1, max_size=5), st.booleans())
def test_what_numpy_saves_is_read_as_numpy_reads_it(
    arrays: dict[str, NDArray[np.generic]], turned: bool
) -> None:
    if turned:
        arrays = {name: np.asfortranarray(array) for name, array in arrays.items()}
    data = saved(arrays)
    found = read_npz(io.BytesIO(data))
    with np.load(io.BytesIO(data)) as expected:
        assert list(found) == list(expected.files)
        for name in found:
            np.testing.assert_array_equal(found[name], expected[name])
            assert found[name].dtype == expected[name].dtype
            assert found[name].flags.writeable


@given(st.dictionaries(NAMES, ARRAYS, min_size=1, max_size=3), st.data())
def test_damage_is_a_value_error_or_harmless(
    arrays: dict[str, NDArray[np.generic]], data: st.DataObject
) -> None:
    whole = saved(arrays)
    first = data.draw(st.integers(0, len(whole)))
    last = data.draw(st.integers(first, min(len(whole), first + 30)))
    broken = whole[:first] + data.draw(st.binary(max_size=30)) + whole[last:]
    with contextlib.suppress(ValueError):
        found = read_npz(io.BytesIO(broken))
        assert sum(array.nbytes for array in found.values()) <= len(broken)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_error(data: bytes) -> None:
    for text in (data, b"PK\x03\x04" + data):
        with pytest.raises(ValueError, match="no ZIP file"):
            read_npz(io.BytesIO(text))
    with contextlib.suppress(ValueError):
        assert read_npz(io.BytesIO(data + b"PK\x05\x06" + bytes(18))) == {}


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.npz"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ValueError, match="larger than 64 MiB"):
        read_npz(path)
