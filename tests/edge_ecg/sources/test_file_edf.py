"""EDF: equal to edfio on what it wrote and on real recordings; gaps, units and damage by hand-made files."""

from __future__ import annotations

from pathlib import Path

import edfio
import numpy as np
import pytest

from edge_ecg.errors import DataError
from edge_ecg.samples import SampleBlock, SourceEvent
from edge_ecg.sources import open_source

FS = 256


def items(address: str) -> list[SampleBlock | SourceEvent]:
    with open_source(address) as source:
        return list(source)


def signal(address: str) -> np.ndarray:
    return np.concatenate([item.ecg_mv for item in items(address) if isinstance(item, SampleBlock)])


def write(
    path: Path, seconds: int = 4, *, labels: tuple[str, ...] = ("ECG",), unit: str = "mV", **more
) -> Path:
    rng = np.random.default_rng(1)
    signals = [
        edfio.EdfSignal(
            rng.uniform(-1, 1, seconds * FS),
            FS,
            label=label,
            physical_dimension=unit,
            physical_range=(-2, 2),
        )
        for label in labels
    ]
    edfio.Edf(signals, data_record_duration=1, **more).write(path)
    return path


def field(data: bytearray, position: int, width: int, text: str) -> None:
    data[position : position + width] = text.ljust(width).encode()


def discontinuous(path: Path, onsets: list[str]) -> Path:
    """An EDF+D file by hand: one ECG of 256 samples a record, values = record number, onsets as given."""
    header = bytearray(b" " * 256 * 3)
    field(header, 0, 8, "0")
    field(header, 184, 8, "768")
    field(header, 192, 5, "EDF+D")
    field(header, 236, 8, str(len(onsets)))
    field(header, 244, 8, "1")
    field(header, 252, 4, "2")
    position = 256
    columns = [
        (16, "ECG", "EDF Annotations"), (80, "", ""), (8, "mV", ""), (8, "-32768", "-1"), (8, "32767", "1"),
        (8, "-32768", "-32768"), (8, "32767", "32767"), (80, "", ""), (8, "256", "16"), (32, "", ""),
    ]  # fmt: skip
    for width, *texts in columns:
        for text in texts:
            field(header, position, width, text)
            position += width
    records = [
        np.full(256, number, dtype="<i2").tobytes() + f"{onset}\x14\x14".encode().ljust(32, b"\x00")
        for number, onset in enumerate(onsets)
    ]
    path.write_bytes(bytes(header) + b"".join(records))
    return path


@pytest.mark.parametrize("name", ["edf/eegmat_Subject00_2.edf", "opensignals/supine_1min.edf"])
def test_real_recordings_equal_edfio(data_root: Path, name: str) -> None:
    path = data_root / "device-files" / name
    expected = next(s for s in edfio.read_edf(path).signals if "ECG" in s.label)
    with open_source(f"file:{path}?speed=max") as source:
        blocks = [item for item in source if isinstance(item, SampleBlock)]
        assert source.info.device == "file:edf"
        assert source.info.fs_hz == expected.sampling_frequency
    np.testing.assert_allclose(
        np.concatenate([block.ecg_mv for block in blocks]), expected.data, rtol=0, atol=1e-12
    )
    assert all(block.gap_before == 0 for block in blocks)


def test_own_channel_is_found_among_others_and_units_are_converted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.edf", labels=("EEG Fp1", "EKG 1", "Resp"), unit="uV")
    expected = edfio.read_edf(path).signals
    np.testing.assert_allclose(signal(f"file:{path}?speed=max"), expected[1].data / 1000, atol=1e-12)
    np.testing.assert_allclose(
        signal(f"file:{path}?speed=max&channel=resp"), expected[2].data / 1000, atol=1e-12
    )
    np.testing.assert_allclose(
        signal(f"file:{path}?speed=max&channel=0"), expected[0].data / 1000, atol=1e-12
    )
    np.testing.assert_allclose(signal(f"file:{path}?speed=max&unit=mV"), expected[1].data, atol=1e-12)


def test_the_only_channel_needs_no_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.edf", labels=("Lead",))
    assert len(signal(f"file:{path}?speed=max")) == 4 * FS


def test_no_ecg_lists_the_channels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.edf", labels=("Fp1", "Resp"))
    with pytest.raises(DataError, match="0: Fp1, 1: Resp"):
        open_source(f"file:{path}")
    with pytest.raises(DataError, match="no signal that channel=Pz"):
        open_source(f"file:{path}?channel=Pz")


def test_unknown_unit_asks_for_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.edf", unit="mmHg")
    with pytest.raises(DataError, match=r"'mmHg', no voltage.*\?unit=uV"):
        open_source(f"file:{path}")


def test_annotations_come_as_markers_at_their_time(tmp_path: Path) -> None:
    path = write(tmp_path / "a.edf", annotations=[edfio.EdfAnnotation(1.5, None, "stress on – Ü")])
    found = items(f"file:{path}?speed=max")
    markers = [item for item in found if isinstance(item, SourceEvent)]
    assert [(event.event, event.at_s, event.detail) for event in markers] == [
        ("marker", 1.5, {"text": "stress on – Ü"})
    ]
    assert found[found.index(markers[0]) + 1].start_s == 1.0


def test_pauses_of_an_edf_d_become_gaps(tmp_path: Path) -> None:
    path = discontinuous(tmp_path / "d.edf", ["+0.5", "+1.5", "+4.75", "+5.75"])
    blocks = items(f"file:{path}?speed=max")
    assert [block.first_sample for block in blocks] == [0, 256, 1088, 1344]
    assert [block.gap_before for block in blocks] == [0, 0, 576, 0]
    assert [block.ecg_mv[0] for block in blocks] == [0, 1, 2, 3]


def test_rounded_onsets_are_no_overlap(tmp_path: Path) -> None:
    path = discontinuous(tmp_path / "d.edf", ["+0", "+0.996", "+1.996"])
    assert [block.gap_before for block in items(f"file:{path}?speed=max")] == [0, 0, 0]


def test_edf_d_running_backwards_is_refused(tmp_path: Path) -> None:
    path = discontinuous(tmp_path / "d.edf", ["+0", "+5", "+1"])
    with pytest.raises(DataError, match="runs backwards"):
        items(f"file:{path}?speed=max")


def test_edf_d_without_onsets_is_refused(tmp_path: Path) -> None:
    path = discontinuous(tmp_path / "d.edf", ["+0", "spam"])
    with pytest.raises(DataError, match="record 1 does not say when it begins"):
        open_source(f"file:{path}")


def test_a_truncated_file_says_so_and_can_be_read_in_part(tmp_path: Path) -> None:
    path = write(tmp_path / "a.edf")
    whole = signal(f"file:{path}?speed=max")
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(DataError, match=r"truncated: 2 of 4 records.*its 2 s with \?partial=yes"):
        open_source(f"file:{path}")
    np.testing.assert_array_equal(signal(f"file:{path}?speed=max&partial=yes"), whole[: 2 * FS])


def test_a_recorder_that_never_wrote_its_record_count_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.edf")
    data = bytearray(path.read_bytes())
    field(data, 236, 8, "-1")
    path.write_bytes(data)
    assert len(signal(f"file:{path}?speed=max")) == 4 * FS


@pytest.mark.parametrize(
    ("position", "width", "text", "sentence"),
    [
        (184, 8, "99", "length of the header"),
        (184, 8, "1024", "A header for"),
        (236, 8, "many", "number of records"),
        (236, 8, "0", "holds no samples"),
        (244, 8, "0", "states no duration"),
        (244, 8, "60", "sampled at 4.26667 Hz"),
        (244, 8, "nan", "duration of a record"),
        (252, 4, "0", "number of signals"),
        (252, 4, "9999", "number of signals"),
    ],
)
def test_damaged_header_fields_are_named(
    tmp_path: Path, position: int, width: int, text: str, sentence: str
) -> None:
    path = write(tmp_path / "a.edf")
    data = bytearray(path.read_bytes())
    field(data, position, width, text)
    path.write_bytes(data)
    with pytest.raises(DataError, match=sentence):
        open_source(f"file:{path}")


def test_a_header_alone_holds_no_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "a.edf")
    path.write_bytes(path.read_bytes()[: 256 * 2])
    with pytest.raises(DataError, match="holds no samples"):
        open_source(f"file:{path}?partial=yes")


def test_clipping_is_flagged_and_a_single_highest_peak_is_not(tmp_path: Path) -> None:
    data = np.zeros(2 * FS)
    data[10] = 1.0
    data[100:120] = -1.0
    ecg = edfio.EdfSignal(data, FS, label="ECG", physical_dimension="mV", physical_range=(-1, 1))
    edfio.Edf([ecg], data_record_duration=1).write(tmp_path / "a.edf")
    blocks = items(f"file:{tmp_path / 'a.edf'}?speed=max")
    flagged = np.flatnonzero(np.concatenate([block.saturated for block in blocks]))
    assert flagged.tolist() == list(range(100, 120))
