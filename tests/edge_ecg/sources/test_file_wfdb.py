"""WFDB: equal to the wfdb package on real records and on every format; checksums, lengths and headers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.errors import DataError
from edge_ecg.samples import SampleBlock
from edge_ecg.sources import open_source


def play(address: str) -> tuple[np.ndarray, list[SampleBlock]]:
    """The signal with NaN where samples are missing, and the blocks."""
    with open_source(address) as source:
        blocks = [item for item in source if isinstance(item, SampleBlock)]
    whole = np.full(blocks[-1].first_sample + len(blocks[-1]), np.nan)
    for block in blocks:
        whole[block.first_sample : block.first_sample + len(block)] = block.ecg_mv
    return whole, blocks


@pytest.mark.parametrize(
    ("name", "channel", "index"),
    [
        ("mitdb-subset/wfdb/100", None, 0),
        ("mitdb-subset/wfdb/100", "V5", 1),
        ("mitdb-subset/wfdb/105", None, 0),
        ("mitdb-subset/wfdb/208", None, 0),
        ("mitdb-subset/wfdb/800", None, 0),
        ("mitdb-subset/wfdb/800", "1", 1),
        ("mitdb-subset/wfdb/s0010_re", None, 1),
        ("mitdb-subset/wfdb/s0010_re", "vy", 13),
        ("drivedb-drive17/drive17a", None, 0),
        ("drivedb-drive17/drive17b", None, 0),
    ],
)
def test_real_records_equal_the_wfdb_package(
    data_root: Path, name: str, channel: str | None, index: int
) -> None:
    record = wfdb.rdrecord(str(data_root / name), smooth_frames=False)
    choice = f"&channel={channel}" if channel else ""
    with open_source(f"file:{data_root / name}.hea?speed=max{choice}") as source:
        assert source.info.fs_hz == record.fs * record.samps_per_frame[index]
    found, blocks = play(f"file:{data_root / name}.hea?speed=max{choice}")
    np.testing.assert_allclose(found, record.e_p_signal[index], rtol=0, atol=1e-12)
    assert sum(block.gap_before for block in blocks) == np.isnan(found).sum() == 0


def write(folder: Path, code: int, digits: np.ndarray, *, size: int | None = None) -> Path:
    """A record of ``digits`` (n, leads), packed by plain arithmetic."""
    n, leads = digits.shape
    flat = [int(value) for value in digits.reshape(-1)]
    if code == 8:
        steps = np.diff(digits, axis=0, prepend=digits[:1])
        data = steps.astype("i1").tobytes()
    elif code in (16, 61):
        data = b"".join((value & 0xFFFF).to_bytes(2, "little" if code == 16 else "big") for value in flat)
    elif code == 24:
        data = b"".join((value & 0xFFFFFF).to_bytes(3, "little") for value in flat)
    elif code == 32:
        data = b"".join((value & 0xFFFFFFFF).to_bytes(4, "little") for value in flat)
    elif code == 80:
        data = bytes(value + 128 for value in flat)
    elif code == 160:
        data = b"".join((value + 32768).to_bytes(2, "little") for value in flat)
    elif code == 212:
        pairs = [*flat, 0] if len(flat) % 2 else flat
        data = b""
        for a, b in zip(pairs[::2], pairs[1::2], strict=True):
            a, b = a & 0xFFF, b & 0xFFF
            data += bytes([a & 0xFF, a >> 8 | b >> 8 << 4, b & 0xFF])
    elif code in (310, 311):
        padded = flat + [0] * (-len(flat) % 3)
        data = b""
        for a, b, c in zip(padded[::3], padded[1::3], padded[2::3], strict=True):
            a, b, c = a & 0x3FF, b & 0x3FF, c & 0x3FF
            if code == 310:
                low, high = (c & 0x1F) << 11 | a << 1, c >> 5 << 11 | b << 1
                data += low.to_bytes(2, "little") + high.to_bytes(2, "little")
            else:
                data += (c << 20 | b << 10 | a).to_bytes(4, "little")
    (folder / "r.dat").write_bytes(data[:size])
    lines = [
        f"r.dat {code} 200(0)/mV 0 0 {digits[0, lead]} {int(digits[:, lead].sum()) & 0xFFFF} 0 ECG{lead}"
        for lead in range(leads)
    ]
    (folder / "r.hea").write_text("\n".join([f"r {leads} 250 {n}", *lines]) + "\n")
    return folder / "r.hea"


BITS = {8: 7, 16: 16, 24: 24, 32: 32, 61: 16, 80: 8, 160: 16, 212: 12, 310: 10, 311: 10}


@pytest.mark.parametrize("code", sorted(BITS))
@settings(max_examples=12, deadline=None)
@given(leads=st.integers(1, 4), n=st.integers(2, 400), seed=st.integers(0, 99))
def test_every_format_equals_the_wfdb_package(
    tmp_path_factory: pytest.TempPathFactory, code: int, leads: int, n: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("wfdb")
    half = 1 << (BITS[code] - 1)
    limit = min(half, 2_000_000)  # beyond it the values would not pass for an ECG's millivolts
    digits = np.random.default_rng(seed).integers(-limit + 1, limit, (n, leads))
    if code == 8:
        digits = np.cumsum(digits, axis=0)
    path = write(folder, code, digits)
    last = leads - 1
    found, _ = play(f"file:{path}?speed=max&channel=ECG{last}")
    np.testing.assert_allclose(found, digits[:, last] / 200, rtol=1e-14, atol=1e-12)
    record = wfdb.rdrecord(str(path.with_suffix("")), physical=False)
    np.testing.assert_array_equal(record.d_signal[:, last], digits[:, last])


@pytest.mark.parametrize("code", [16, 212])
def test_a_start_in_the_middle_equals_the_same_part_of_the_whole(tmp_path: Path, code: int) -> None:
    digits = np.random.default_rng(5).integers(-500, 500, (30_000, 3))
    path = write(tmp_path, code, digits)
    found, blocks = play(f"file:{path}?speed=max&start=70.02&duration=2")
    np.testing.assert_allclose(found, digits[17505 : 17505 + 500, 0] / 200, atol=1e-12)
    assert blocks[0].first_sample == 0


def test_missing_samples_are_gaps(tmp_path: Path) -> None:
    digits = np.arange(-250, 250).reshape(-1, 1)
    digits[100:110] = -2048
    path = write(tmp_path, 212, digits)
    found, blocks = play(f"file:{path}?speed=max")
    assert [(block.first_sample, block.gap_before) for block in blocks] == [(0, 0), (110, 10), (360, 0)]
    assert np.isnan(found[100:110]).all()
    assert not np.isnan(np.delete(found, np.s_[100:110])).any()


def test_gain_baseline_and_unit(tmp_path: Path) -> None:
    path = write(tmp_path, 16, np.array([[0], [1000], [2000]]))
    for line, expected in {
        "r.dat 16 0.5(1000)/uV": [-2, 0, 2],
        "r.dat 16 2000 12 1000": [-0.5, 0, 0.5],
        "r.dat 16 200/V": [0, 5000, 10000],
    }.items():
        path.write_text(f"r 1 250 3\n{line}\n")
        np.testing.assert_allclose(play(f"file:{path}?speed=max")[0], expected, atol=1e-12)


def test_an_uncalibrated_signal_asks_for_its_scale(tmp_path: Path) -> None:
    path = write(tmp_path, 16, np.array([[0], [1000]]))
    for line in ("r.dat 16", "r.dat 16 0", "r.dat 16 200/mmHg"):
        path.write_text(f"r 1 250 2\n{line}\n")
        with pytest.raises(DataError, match=r"not calibrated.*\?scale="):
            open_source(f"file:{path}")
        np.testing.assert_allclose(play(f"file:{path}?speed=max&scale=0.001")[0], [0, 1])


def test_a_flipped_bit_is_seen_by_the_checksum(tmp_path: Path) -> None:
    path = write(tmp_path, 212, np.random.default_rng(2).integers(-500, 500, (900, 2)))
    data = bytearray((tmp_path / "r.dat").read_bytes())
    data[600] ^= 0x10
    (tmp_path / "r.dat").write_bytes(data)
    with pytest.raises(DataError, match=r"r\.dat is damaged: the checksum of ECG0"):
        open_source(f"file:{path}")


def test_a_truncated_record_says_so_and_can_be_read_in_part(tmp_path: Path) -> None:
    digits = np.random.default_rng(2).integers(-500, 500, (1000, 2))
    path = write(tmp_path, 212, digits, size=1503)
    with pytest.raises(DataError, match=r"truncated: 2\.004 of 4 s.*partial=yes"):
        open_source(f"file:{path}")
    np.testing.assert_allclose(play(f"file:{path}?speed=max&partial=yes")[0], digits[:501, 0] / 200)
    (tmp_path / "r.dat").write_bytes(b"")
    with pytest.raises(DataError, match="truncated: 0 of 4 s"):
        open_source(f"file:{path}?partial=yes")


def test_the_signal_file_or_the_bare_name_stand_for_the_record(tmp_path: Path) -> None:
    path = write(tmp_path, 16, np.array([[0], [200]]))
    for name in (path, path.with_suffix(".dat"), path.with_suffix("")):
        np.testing.assert_allclose(play(f"file:{name}?speed=max")[0], [0, 1])


def test_a_missing_signal_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, 16, np.array([[0], [200]]))
    (tmp_path / "r.dat").unlink()
    with pytest.raises(DataError, match=r"The signal file r\.dat of r\.hea is missing"):
        open_source(f"file:{path}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no record line"),
        ("# only a comment\n", "holds no record line"),
        ("r\n", "record line reads"),
        ("r 2 250 3\nr.dat 16 200\n", "announces 2 signals and describes 1"),
        ("r 1 fast 3\nr.dat 16 200\n", "sampling rate reads"),
        ("r 1 -250 3\nr.dat 16 200\n", "sampling rate reads"),
        ("r 1 250 3\nr.dat sixteen 200\n", "line for signal 0"),
        ("r 1 250 3\nr.dat 16 much\n", "line for signal 0"),
        ("r 1 250 3\nr.dat 516 200\n", "WFDB format 516"),
        ("r 1 250 3\n../r.dat 16 200\n", "not a file beside it"),
        ("r 1 250 3\n~ 0 200\n", "WFDB format 0"),
        ("r/3 1 250 3\nr_01 10\nr_02 10\nr_03 10\n", "in 3 segments.*r_01.hea"),
        ("r 1 50 3\nr.dat 16 200\n", "sampled at 50 Hz"),
        ("r 2 250 3\nr.dat 16 200 12 0 0 0 0 ECG\nr.dat 212 200\n", "different formats"),
    ],
)
def test_headers_that_cannot_be_used(tmp_path: Path, text: str, sentence: str) -> None:
    path = write(tmp_path, 16, np.array([[0], [200], [100]]))
    path.write_text(text or "\n")
    with pytest.raises(DataError, match=sentence):
        open_source(f"file:{path}")


def test_several_samples_a_frame_and_a_byte_offset(tmp_path: Path) -> None:
    ecg = np.arange(8)
    frames = np.stack([ecg[0::2], ecg[1::2], np.full(4, -7)], axis=1)
    (tmp_path / "r.dat").write_bytes(b"head" + frames.astype("<i2").tobytes())
    (tmp_path / "r.hea").write_text(
        "r 2 125 4\nr.dat 16x2+4 1 16 0 0 28 0 ECG\nr.dat 16+4 1 16 0 -7 0 0 GSR\n"
    )
    with open_source(f"file:{tmp_path / 'r.hea'}?speed=max") as source:
        assert source.info.fs_hz == 250
    np.testing.assert_allclose(play(f"file:{tmp_path / 'r.hea'}?speed=max")[0], ecg)


def test_the_challenge_2017_layout(tmp_path: Path) -> None:
    """Its signal files are MATLAB 4 matrices: a header of 24 bytes, then format 16."""
    (tmp_path / "A1.mat").write_bytes(bytes(24) + np.array([0, 1000, -500], "<i2").tobytes())
    (tmp_path / "A1.hea").write_text("A1 1 300 3\nA1.mat 16+24 1000/mV 16 0 0 500 0 ECG\n")
    for name in ("A1.hea", "A1.mat", "A1"):
        np.testing.assert_allclose(play(f"file:{tmp_path / name}?speed=max")[0], [0, 1, -0.5])
