"""Tables of text: our own recordings, CSV of all kinds, and what is said when something is missing."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from edge_ecg.errors import DataError, UsageError
from edge_ecg.recorder import Recorder
from edge_ecg.samples import SampleBlock
from edge_ecg.sources import open_source

ECG = np.round(np.sin(np.arange(600) / 9.0), 4)


def play(path: Path, options: str = "") -> tuple[float, list[SampleBlock]]:
    with open_source(f"file:{path}?speed=max{'&' if options else ''}{options}") as source:
        return source.info.fs_hz, [item for item in source if isinstance(item, SampleBlock)]


def joined(blocks: list[SampleBlock]) -> np.ndarray:
    return np.concatenate([block.ecg_mv for block in blocks])


def table(path: Path, rows: list[str], *before: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in (*before, *rows)), encoding="utf-8")
    return path


def values(factor: float = 1.0, decimal: str = ".") -> list[str]:
    return [f"{value * factor:.6f}".replace(".", decimal) for value in ECG]


def test_what_the_recorder_writes_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    sent = []
    first = 0
    for size, gap in ((100, 0), (7, 0), (1, 31), (5000, 2), (300, 0)):
        first += gap
        flags = rng.random(size) < 0.1
        sent.append(SampleBlock(rng.normal(0, 300, size), 250.137, first, gap, flags, ~flags))
        first += size
    with open_source("sim:shimmer3") as source:
        info = source.info
    path = tmp_path / "today.csv"
    with Recorder(path) as recorder:
        recorder.begin(type(info)("x:?fault=a=b", "text", 250.137))
        for block in sent:
            recorder.write(block)
    fs_hz, blocks = play(path)
    assert fs_hz == 250.137
    for name in ("ecg_mv", "lead_off", "saturated"):
        np.testing.assert_array_equal(
            np.concatenate([getattr(block, name) for block in blocks]),
            np.concatenate([getattr(block, name) for block in sent]),
        )
    assert [(b.first_sample, b.gap_before) for b in blocks if b.gap_before] == [(138, 31), (141, 2)]


def test_a_recording_cut_in_its_last_line_loses_that_line_only(tmp_path: Path) -> None:
    rows = [f"{i},{value}" for i, value in enumerate(ECG)]
    path = table(
        tmp_path / "a.csv", rows, "# edge-ecg recording", "# fs_hz: 256", "# unit: mV", "sample,ecg_mv"
    )
    whole = path.read_bytes()
    for cut in (2, 5, 8):
        path.write_bytes(whole[:-cut])
        np.testing.assert_array_equal(joined(play(path)[1]), ECG[:-1])


def test_markers_in_comments_between_rows_do_no_harm(tmp_path: Path) -> None:
    rows = [f"{i},{value}" for i, value in enumerate(ECG)]
    rows.insert(300, "# note: the phone rang")
    rows.insert(301, "")
    path = table(
        tmp_path / "a.csv", rows, "# edge-ecg recording", "# fs_hz: 256", "# unit: mV", "sample,ecg_mv"
    )
    np.testing.assert_array_equal(joined(play(path)[1]), ECG)


@pytest.mark.parametrize(
    ("name", "unit", "separator", "decimal"),
    [
        ("time_s", 1.0, ",", "."),
        ("t [ms]", 1e3, ";", ","),
        ("time_us", 1e6, "\t", "."),
        ("Timestamp (ns)", 1e9, ";", "."),
    ],
)
def test_a_column_of_time_gives_the_rate_and_the_gaps(
    tmp_path: Path, name: str, unit: float, separator: str, decimal: str
) -> None:
    numbers = np.concatenate((np.arange(400), np.arange(450, 650)))
    rows = [
        f"{n / 250.0 * unit + 7:.9f}".replace(".", decimal) + separator + value
        for n, value in zip(numbers, values(decimal=decimal), strict=True)
    ]
    path = table(tmp_path / "a.csv", rows, f"{name}{separator}ecg_mv")
    fs_hz, blocks = play(path)
    assert fs_hz == 250
    np.testing.assert_allclose(joined(blocks), ECG, atol=1e-6)
    assert [(b.first_sample, b.gap_before) for b in blocks if b.gap_before] == [(450, 50)]


@pytest.mark.parametrize("fs", [130.16, 200.0, 256.0, 360.0, 512.0])
def test_whole_milliseconds_give_the_rate_without_false_gaps(tmp_path: Path, fs: float) -> None:
    n = 9000
    rows = [f"{int(i / fs * 1000)},{i % 7}" for i in range(n)]
    found, blocks = play(table(tmp_path / "a.csv", rows, "time_ms,ecg_mv"))
    assert found == pytest.approx(fs, rel=2e-4)
    assert sum(block.gap_before for block in blocks) == 0
    assert sum(len(block) for block in blocks) == n


def test_a_column_called_time_without_a_unit(tmp_path: Path) -> None:
    rows = [f"{i * 0.004},{value}" for i, value in enumerate(ECG)]
    assert play(table(tmp_path / "s.csv", rows, "time,ecg_mv"))[0] == 250
    rows = [f"{i * 4},{value}" for i, value in enumerate(ECG)]
    assert play(table(tmp_path / "ms.csv", rows, "time,ecg_mv"))[0] == 250
    rows = [f"{i},{value}" for i, value in enumerate(ECG)]
    with pytest.raises(DataError, match=r"how fast it was sampled.*\?fs="):
        play(table(tmp_path / "rows.csv", rows, "time,ecg_mv"))


def test_dates_and_times(tmp_path: Path) -> None:
    # The last Sunday of March: clocks in Europe jump, the recording does not.
    start = np.datetime64("2026-03-29T00:59:59.000")
    rows = [f"{start + np.timedelta64(4 * i, 'ms')},{value}" for i, value in enumerate(ECG)]
    fs_hz, blocks = play(table(tmp_path / "a.csv", rows, "time,ecg_mv"))
    assert fs_hz == 250
    assert sum(block.gap_before for block in blocks) == 0
    np.testing.assert_array_equal(joined(blocks), ECG)


def test_jittering_stamps_are_refused_until_the_rate_is_given(tmp_path: Path) -> None:
    arrivals = np.repeat(np.arange(150) * 16, 4)
    rows = [f"{t},{value}" for t, value in zip(arrivals, ECG, strict=True)]
    path = table(tmp_path / "a.csv", rows, "time_ms,ecg_mv")
    with pytest.raises(DataError, match=r"fast it was sampled|too uneven"):
        play(path)
    fs_hz, blocks = play(path, "fs=250")
    assert fs_hz == 250
    np.testing.assert_array_equal(joined(blocks), ECG)


@pytest.mark.parametrize(
    ("header", "options", "factor"),
    [
        ("ecg_uv", "", 1e3),
        ("ECG (V)", "", 1e-3),
        ("ecg [µV]", "", 1e3),
        ("ecg", "unit=uV", 1e3),
        ("ecg", "scale=0.001", 1e3),
        ("ecg", "unit=uV&scale=2", 500.0),
    ],
)
def test_units(tmp_path: Path, header: str, options: str, factor: float) -> None:
    path = table(tmp_path / "a.csv", values(factor), header)
    _, blocks = play(path, f"fs=250&{options}".rstrip("&"))
    np.testing.assert_allclose(joined(blocks), ECG, atol=1e-3 / factor + 1e-9)


def test_offset_is_added_after_the_scale(tmp_path: Path) -> None:
    path = table(tmp_path / "a.txt", ["512", "1023", "0"])
    _, blocks = play(path, "fs=250&scale=0.01&offset=-5.12")
    np.testing.assert_allclose(joined(blocks), [0, 5.11, -5.12])


def test_what_is_missing_is_asked_for_by_the_option_that_tells_it(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", values(), "ecg")
    with pytest.raises(DataError, match=r"which unit its column ecg is.*\?unit=mV"):
        play(path, "fs=250")
    with pytest.raises(DataError, match=r"how fast it was sampled.*\?fs="):
        play(path, "unit=mV")
    path = table(tmp_path / "b.csv", [f"{v},{v}" for v in values()], "left,right")
    with pytest.raises(DataError, match=r"0: left, 1: right.*channel=left"):
        play(path, "fs=250&unit=mV")
    np.testing.assert_allclose(joined(play(path, "fs=250&unit=mV&channel=right")[1]), ECG, atol=1e-6)
    with pytest.raises(UsageError, match="unknown option 'chanel'"):
        play(path, "chanel=right")
    with pytest.raises(UsageError, match=r"key .* does nothing for this CSV file"):
        play(path, "key=ecg")


@pytest.mark.parametrize("fs", ["50", "4096"])
def test_a_rate_out_of_range_is_refused(tmp_path: Path, fs: str) -> None:
    path = table(tmp_path / "a.csv", values(), f"# fs_hz: {fs}", "ecg_mv")
    with pytest.raises(DataError, match=f"sampled at {fs} Hz"):
        play(path)


@pytest.mark.parametrize("nothing", ["", "nan", "NaN", "NA", "null"])
def test_absent_values_are_lost_samples(tmp_path: Path, nothing: str) -> None:
    rows = [f"{i},{value}" for i, value in enumerate(values())]
    for index in range(200, 203):
        rows[index] = f"{index},{nothing}"
    fs_hz, blocks = play(table(tmp_path / "a.csv", rows, "row,ecg_mv"), "fs=250&channel=ecg_mv")
    assert fs_hz == 250
    assert [(b.first_sample, b.gap_before) for b in blocks] == [(0, 0), (203, 3), (453, 0)]
    np.testing.assert_allclose(joined(blocks), np.delete(ECG, np.s_[200:203]), atol=1e-6)


def test_only_nan_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no sample"):
        play(table(tmp_path / "a.csv", ["nan"] * 9, "ecg_mv"), "fs=250")


def test_a_row_that_is_none_is_named_by_its_line(tmp_path: Path) -> None:
    rows = values()
    rows[4500 % 600] = "0.1x"
    with pytest.raises(DataError, match=r"Line 302 of a\.csv.*'0\.1x'"):
        play(table(tmp_path / "a.csv", rows, "ecg_mv"), "fs=250")
    rows = [f"{i},{value}" for i, value in enumerate(values() * 9)]
    rows[5000] = "5000"
    with pytest.raises(DataError, match=r"Line 5002 of a\.csv"):
        play(table(tmp_path / "a.csv", rows, "sample,ecg_mv"), "fs=250")


def test_numbers_running_backwards_and_far_jumps_are_refused(tmp_path: Path) -> None:
    rows = [f"{i},{value}" for i, value in enumerate(ECG)]
    rows[400] = "4,0.0"
    with pytest.raises(DataError, match=r"runs backwards in time at 0\.0 s"):
        play(table(tmp_path / "a.csv", rows, "sample,ecg_mv"), "fs=250")
    rows[400] = "99999999999999999,0.0"
    with pytest.raises(DataError, match="jumps by"):
        play(table(tmp_path / "a.csv", rows, "sample,ecg_mv"), "fs=250")


def test_a_wrong_unit_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"30 V.*\?unit=uV"):
        play(table(tmp_path / "a.csv", ["30000"] * 500, "ecg_mv"), "fs=250")


def test_gzip_byte_order_mark_windows_line_ends_and_quotes(tmp_path: Path) -> None:
    rows = [f'"{i * 4}","{value}"\r' for i, value in enumerate(ECG)]
    text = "\ufeff" + "\n".join(['"time_ms","ECG (mV)"\r', *rows]) + "\n"
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    fs_hz, blocks = play(path)
    assert fs_hz == 250
    np.testing.assert_array_equal(joined(blocks), ECG)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="damaged or truncated gzip"):
        play(path)


def test_consensys_export(data_root: Path) -> None:
    """A Shimmer's own export: ``sep=`` line, units in a second row, time stamps in milliseconds."""
    path = data_root / "device-files/shimmer3-sdlog/ecg_calibrated.csv.gz"
    rows = gzip.decompress(path.read_bytes()).decode().splitlines()[3:]
    stamps, expected = np.loadtxt(rows, usecols=(0, 1), delimiter="\t", unpack=True)
    fs_hz, blocks = play(path, "channel=TEST_EMG_CH1_24BIT_CAL")
    assert fs_hz == 512
    np.testing.assert_array_equal(joined(blocks), expected)
    ends = round((stamps[-1] - stamps[0]) * 0.512)
    assert sum(block.gap_before for block in blocks) == ends + 1 - len(expected) == 2


def test_openbci_text_asks_for_the_channel(data_root: Path) -> None:
    path = data_root / "device-files/openbci/OpenBCI_GUI-v6_first10s.txt"
    with pytest.raises(DataError, match="1: EXG Channel 0"):
        play(path)
    fs_hz, blocks = play(path, "channel=EXG Channel 0&unit=uV")
    expected = np.loadtxt(path.read_text().splitlines()[5:], delimiter=",", usecols=1)
    assert fs_hz == 250
    np.testing.assert_allclose(joined(blocks), expected / 1000, rtol=1e-12)


def test_biosppy_text(data_root: Path) -> None:
    path = data_root / "device-files/simple-text/ecg.txt"
    fs_hz, blocks = play(path, "scale=0.001&offset=-2.048")
    assert fs_hz == 1000
    np.testing.assert_allclose(joined(blocks), np.loadtxt(path) / 1000 - 2.048, atol=1e-12)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"\n\n", "holds no sample"),
        (b"# fs_hz: 256\n", "holds no sample"),
        (b"ecg_mv\n", "holds no row of numbers"),
        (b"Dear all,\nplease find attached\nno recording.\nYours\n", "holds no row of numbers"),
        ("ecg_mv\n1\n".encode("utf-16"), "UTF-16"),
        (b"\x00\x01\x02binary", "does not know the format"),
    ],
)
def test_files_that_are_no_table(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        play(path, "fs=250")


def test_a_file_without_line_ends_is_refused_without_reading_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"1," * (4 << 20))
    with pytest.raises(DataError, match="line of more than"):
        play(path, "fs=250")


def test_a_separator_at_the_end_of_each_row_is_no_column(tmp_path: Path) -> None:
    rows = [f"{i * 4};{value};" for i, value in enumerate(ECG)]
    path = table(tmp_path / "a.csv", rows, "time_ms;left;")
    with open_source(f"file:{path}?unit=mV") as source:  # the only signal, so no choice to make
        assert source.info.details["channel"] == "left"


def test_a_separator_can_be_forced(tmp_path: Path) -> None:
    path = table(tmp_path / "a.txt", [f"{v}|7,5" for v in values()], "ecg_mv|note")
    np.testing.assert_allclose(joined(play(path, "fs=250&separator=|&channel=ecg_mv")[1]), ECG, atol=1e-6)
    np.testing.assert_allclose(joined(play(path, "fs=250&separator=%7C&unit=mV&channel=note")[1]), 7.5)
