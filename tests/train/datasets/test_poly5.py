"""TMS32 and Poly5: every sample as it was written, and every damage as a sentence."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.errors import DataError
from edge_ecg_train.datasets.poly5 import open_poly5


@pytest.fixture(scope="session")
def files(generator: Callable[[str], ModuleType]) -> ModuleType:
    return generator("swell_files")


def _adc(n: int, channels: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(-3e4, 3e4, (n, channels)).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 400),
    channels=st.integers(1, 5),
    block_samples=st.integers(1, 150),
    version=st.sampled_from([203, 204]),
    data=st.data(),
)
def test_every_sample_of_every_channel(
    files: ModuleType,
    tmp_path_factory: pytest.TempPathFactory,
    n: int,
    channels: int,
    block_samples: int,
    version: int,
    data: st.DataObject,
) -> None:
    rng = np.random.default_rng(n)
    described = [
        files.Channel(f"c{index}", "mVolt", *rng.uniform(-9, -1, 1), *rng.uniform(1, 9, 1), -100.0, 300.0)
        for index in range(channels)
    ]
    adc = _adc(n, channels, n)
    path = tmp_path_factory.mktemp("poly5") / "a.S00"
    path.write_bytes(files.poly5(adc, described, version=version, block_samples=block_samples))
    file = open_poly5(path)
    assert (file.version, file.fs_hz, file.n_samples) == (version, 2048.0, n)
    assert file.start == (2012, 9, 18, 2, 13, 21, 0)
    first = data.draw(st.integers(0, n))
    count = data.draw(st.integers(0, n))
    for index, (found, given_) in enumerate(zip(file.channels, described, strict=True)):
        assert (found.name, found.unit, found.mv_per_unit) == (given_.name, "mVolt", 1.0)
        # The limits are stored in single precision.
        low, high = np.float32(given_.unit_low), np.float32(given_.unit_high)
        expected = (adc[:, index].astype(float) + 100.0) / 400.0 * (float(high) - float(low)) + float(low)
        np.testing.assert_allclose(file.read(index), expected, rtol=1e-12, atol=1e-9)
        np.testing.assert_array_equal(file.read(index, first, count), file.read(index)[first : first + count])


@pytest.mark.parametrize(("version", "header"), [(203, 217), (204, 218)])
def test_the_places_that_the_format_documents(
    files: ModuleType, tmp_path: Path, version: int, header: int
) -> None:
    """Block g at header + signals * 136 + g * (86 + block bytes), its samples 86 bytes further on."""
    adc = _adc(10, 3)
    path = tmp_path / "a.S00"
    data = bytearray(
        files.poly5(adc, [files.Channel(name) for name in "abc"], version=version, block_samples=4)
    )
    block = header + 6 * 136 + 2 * (86 + 4 * 3 * 4)
    assert struct.unpack_from("<i", data, block) == (8,)
    struct.pack_into("<f", data, block + 86 + 4 * 1, -4321.0)
    path.write_bytes(data)
    file = open_poly5(path)
    assert file.read(1)[8] == -4321.0
    np.testing.assert_array_equal(file.read(1)[:8], adc[:8, 1])
    np.testing.assert_array_equal(file.read(2), adc[:, 2])


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("uVolt", 1e-3),
        ("µVolt", 1e-3),
        ("mVolt", 1.0),
        ("Volt", 1e3),
        ("uV", 1e-3),
        ("bpm", None),
        ("", None),
    ],
)
def test_units(files: ModuleType, tmp_path: Path, unit: str, factor: float | None) -> None:
    path = tmp_path / "a.S00"
    path.write_bytes(files.poly5(_adc(5, 1), [files.Channel("x", unit)]))
    assert open_poly5(path).channels[0].mv_per_unit == factor


def _patched(data: bytes, at: int, form: str, *values: float) -> bytes:
    changed = bytearray(data)
    struct.pack_into(form, changed, at, *values)
    return bytes(changed)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: b"", "no TMS32"),
        (lambda d: b"not a recording at all, but a text of some length", "no TMS32"),
        (lambda d: d[:100], "header is cut"),
        (lambda d: d[:400], "signals"),
        (lambda d: d[:-1], "bytes"),
        (lambda d: _patched(d, 31, "<h", 202), "no TMS32"),
        (lambda d: _patched(d, 114, "<h", 0), "0 Hz"),
        (lambda d: _patched(d, 119, "<h", 3), "3 signals"),
        (lambda d: _patched(d, 119, "<h", -2), "-2 signals"),
        (lambda d: _patched(d, 121, "<i", -1), "-1 samples"),
        (lambda d: _patched(d, 143, "<i", 2**30), "header announces"),
        (lambda d: _patched(d, 149, "<H", 30), "blocks of 30 bytes"),
        (lambda d: _patched(d, 151, "<h", 1), "compressed"),
        (lambda d: _patched(d, 217 + 56, "<4f", 0, 1, 5, 5), "scale"),
        (lambda d: _patched(d, 217 + 56, "<4f", 0, np.nan, 0, 1), "scale"),
    ],
)
def test_damage_is_a_sentence(files: ModuleType, tmp_path: Path, change: Any, sentence: str) -> None:
    path = tmp_path / "pp1.S00"
    path.write_bytes(change(files.poly5(_adc(100, 2), [files.Channel("a"), files.Channel("b")])))
    with pytest.raises(DataError, match=sentence):
        open_poly5(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="damaged"):
        open_poly5(tmp_path / "pp1.S00")


def test_a_file_that_became_shorter(files: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "a.S00"
    path.write_bytes(files.poly5(_adc(1000, 1), [files.Channel("a")]))
    file = open_poly5(path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DataError, match="damaged"):
        file.read(0)


@settings(max_examples=100, deadline=None)
@given(
    cut=st.integers(0, 1200), flips=st.lists(st.tuples(st.integers(0, 1199), st.integers(1, 255)), max_size=6)
)
def test_whatever_is_cut_or_flipped_is_read_or_refused(
    files: ModuleType, tmp_path_factory: pytest.TempPathFactory, cut: int, flips: list[tuple[int, int]]
) -> None:
    data = bytearray(files.poly5(_adc(40, 2), [files.Channel("a"), files.Channel("b")], block_samples=16))
    for place, mask in flips:
        data[place % len(data)] ^= mask
    path = tmp_path_factory.mktemp("fuzz") / "a.S00"
    path.write_bytes(data[: max(len(data) - cut, 0)])
    try:
        file = open_poly5(path)
        for channel in range(len(file.channels)):
            assert file.read(channel).shape == (file.n_samples,)
    except DataError:
        return
