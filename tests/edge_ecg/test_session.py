"""A session: start, events, decisions, end; what happens when the source fails; recording and replay."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import edge_ecg
from edge_ecg.errors import DataError, DeviceError
from edge_ecg.model import Model
from edge_ecg.recorder import Recorder
from edge_ecg.records import DecisionRecord, EndRecord, EventRecord, Record, StartRecord
from edge_ecg.samples import SampleBlock, SourceEvent, SourceInfo
from edge_ecg.session import Session
from edge_ecg.sources import Address, open_source

FS_HZ = 256.0
Cut = Callable[..., list[SampleBlock]]
Heart = Callable[..., NDArray[np.float64]]
ListSource = Callable[[list[Any], float], Any]


def timeless(record: Record) -> dict[str, Any]:
    """A record without what depends on when and from where it was made."""
    volatile = ("time", "latency_ms", "inference_ms", "source", "device")
    return {key: value for key, value in record.to_json().items() if key not in volatile}


def test_start_decisions_end(model: Model, heart: Heart, cut: Cut, list_source: ListSource) -> None:
    records = list(edge_ecg.decide(list_source(cut(heart(13, FS_HZ), FS_HZ), FS_HZ), model))
    start, *decisions, end = records
    context_s = {"stress": 0.0, "valence": 0.0}
    assert start == StartRecord("list:", "list", FS_HZ, model.name_at_sha, model.engine, 1.0, None, context_s)
    assert all(isinstance(record, DecisionRecord) for record in decisions)
    assert end == EndRecord(3, 1, 0, "source ended")


def test_a_source_s_events_come_in_their_place(
    model: Model, heart: Heart, cut: Cut, list_source: ListSource
) -> None:
    blocks = cut(heart(11, FS_HZ), FS_HZ, [256])
    marker = SourceEvent("marker", 5.0, {"text": "coffee"})
    records = list(edge_ecg.decide(list_source([*blocks[:5], marker, *blocks[5:]], FS_HZ), model))
    assert isinstance(records[1], EventRecord)
    assert records[1].to_json()["text"] == "coffee"


def test_a_loss_is_an_event_even_where_the_source_gives_none(
    model: Model, heart: Heart, cut: Cut, list_source: ListSource
) -> None:
    blocks = cut(heart(14, FS_HZ), FS_HZ, [256])
    holed = [*blocks[:3], replace(blocks[5], gap_before=512), *blocks[6:]]
    announced = [*holed[:3], SourceEvent("gap", 5.0, {"lost_samples": 512}), *holed[3:]]
    for items in (holed, announced):
        records = list(edge_ecg.decide(list_source(items, FS_HZ), model))
        gaps = [record for record in records if isinstance(record, EventRecord)]
        assert [gap.to_json()["lost_samples"] for gap in gaps] == [512]
        end = records[-1]
        assert isinstance(end, EndRecord)
        assert end.lost_samples == 512


def test_a_device_that_fails_ends_with_event_and_totals_and_raises(
    model: Model, heart: Heart, cut: Cut, list_source: ListSource
) -> None:
    source = list_source([*cut(heart(12, FS_HZ), FS_HZ), DeviceError("The cable is out.")], FS_HZ)
    records: list[Record] = []
    with pytest.raises(DeviceError, match="cable"):
        records.extend(edge_ecg.decide(source, model))
    # extend keeps what came before the error.
    assert [type(record) for record in records[-2:]] == [EventRecord, EndRecord]
    assert records[-2].to_json()["event"] == "lost"
    assert records[-1] == EndRecord(2, 1, 0, "The cable is out.")


@pytest.mark.parametrize("size", [1, 100, 256, 2561, 9999])
def test_duration_counts_device_seconds_to_the_sample(
    model: Model, heart: Heart, cut: Cut, list_source: ListSource, tmp_path: Path, size: int
) -> None:
    source = list_source(cut(heart(20, FS_HZ), FS_HZ, [size]), FS_HZ)
    with Recorder(tmp_path / "kept.csv") as recorder:
        session = Session(source, model, duration_s=12, recorder=recorder)
        recorder.begin(source.info)
        ends = [record.end_s for record in session if isinstance(record, DecisionRecord)]
    assert ends == [10.0, 11.0, 12.0]
    assert session.end().reason == "duration"
    assert recorder.samples == 12 * 256


def test_a_source_given_open_stays_open_and_one_that_was_opened_is_closed(
    model: Model, heart: Heart, cut: Cut, list_source: ListSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = list_source(cut(heart(11, FS_HZ), FS_HZ), FS_HZ)
    list(edge_ecg.decide(source, model))
    assert not source.closed
    monkeypatch.setattr("edge_ecg.session.open_source", lambda address, device: source)
    records = edge_ecg.decide("anything:", model)
    next(records)
    records.close()  # type: ignore[attr-defined]  # it is a generator
    assert source.closed


def test_without_a_model_nothing_is_decided(heart: Heart, cut: Cut, list_source: ListSource) -> None:
    session = Session(list_source(cut(heart(12, FS_HZ), FS_HZ), FS_HZ), None)
    (start,) = session
    assert isinstance(start, StartRecord)
    assert (start.model, start.engine) == (None, None)
    assert session.end() == EndRecord(0, 0, 0, "source ended")


def record_blocks(path: Path, blocks: list[SampleBlock], fs_hz: float) -> None:
    with Recorder(path) as recorder:
        recorder.begin(SourceInfo("/dev/ttyUSB0", "shimmer3", fs_hz))
        for block in blocks:
            recorder.write(block)


def replayed(path: Path) -> list[SampleBlock]:
    with open_source(Address("file", str(path), {"speed": "max"})) as source:
        return [item for item in source if isinstance(item, SampleBlock)]


def test_replay_gives_the_decisions_of_the_run(
    model: Model, heart: Heart, cut: Cut, list_source: ListSource, tmp_path: Path
) -> None:
    """With a gap, a second of electrode off, and an odd rate."""
    fs_hz = 201.03
    blocks = [
        replace(block, lead_off=np.zeros(len(block), bool)) for block in cut(heart(60, fs_hz), fs_hz, [57])
    ]
    blocks = [*blocks[:70], replace(blocks[75], gap_before=5 * 57), *blocks[76:]]
    off = np.ones(57, dtype=np.bool_)
    blocks[150:154] = [replace(block, lead_off=off) for block in blocks[150:154]]
    path = tmp_path / "kept.csv"
    source = list_source(blocks, fs_hz)
    live: list[Record] = []
    with Recorder(path) as recorder:
        session = Session(source, model, recorder=recorder)
        recorder.begin(source.info)
        live += session
    live.append(session.end())
    again = list(edge_ecg.decide(Address("file", str(path), {"speed": "max"}), model))
    assert {
        reason for record in live if isinstance(record, DecisionRecord) for reason in record.withheld
    } >= {
        "warming_up",
        "gap",
        "lead_off",
    }
    assert list(map(timeless, again)) == list(map(timeless, live))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(
    values=st.lists(st.floats(-500, 500), min_size=2, max_size=80),
    cuts=st.lists(st.tuples(st.integers(1, 20), st.integers(0, 3)), min_size=1, max_size=8),
    fs_hz=st.floats(100, 4000),
    flags=st.booleans(),
)
def test_a_recording_is_read_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory,
    values: list[float],
    cuts: list[tuple[int, int]],
    fs_hz: float,
    flags: bool,
) -> None:
    blocks: list[SampleBlock] = []
    taken, number = 0, 0
    for size, gap in cuts:
        part = np.array(values[taken : taken + size])
        if not len(part):
            break
        lost = gap if blocks else 0
        number += lost
        lead_off = (part > 0) if flags else None
        blocks.append(SampleBlock(part, fs_hz, number, lost, lead_off, lead_off))
        taken += size
        number += len(part)
    path = tmp_path_factory.mktemp("recording") / "kept.csv"
    record_blocks(path, blocks, fs_hz)
    found = replayed(path)
    assert {block.fs_hz for block in found} == {fs_hz}

    def flat(blocks: list[SampleBlock]) -> list[tuple[int, float, bool | None]]:
        return [
            (
                block.first_sample + index,
                value,
                None if block.lead_off is None else bool(block.lead_off[index]),
            )
            for block in blocks
            for index, value in enumerate(block.ecg_mv.tolist())
        ]

    assert flat(found) == flat(blocks)
    assert sum(block.gap_before for block in found) == sum(block.gap_before for block in blocks)


def test_a_recording_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "kept.csv"
    path.write_text("precious")
    with pytest.raises(DataError, match="never overwritten"):
        Recorder(path)
    assert path.read_text() == "precious"


def test_a_recording_of_nothing_leaves_no_file(tmp_path: Path) -> None:
    with Recorder(tmp_path / "kept.csv") as recorder:
        recorder.begin(SourceInfo("/dev/ttyUSB0", "shimmer3", 512.0))
    assert list(tmp_path.iterdir()) == []


def test_a_recording_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        Recorder(tmp_path / "nowhere" / "kept.csv")


def test_a_recording_reaches_the_file_within_a_second(tmp_path: Path, heart: Heart, cut: Cut) -> None:
    """Read by another program while it is still being written, and a valid recording at that moment."""
    now = 0.0
    path = tmp_path / "kept.csv"
    with Recorder(path, clock=lambda: now) as recorder:
        recorder.begin(SourceInfo("/dev/ttyUSB0", "shimmer3", FS_HZ))
        for block in cut(heart(3, FS_HZ), FS_HZ, [256]):
            now += 1.0
            recorder.write(block)
            assert sum(map(len, replayed(path))) == recorder.samples


def test_a_disk_without_room_is_a_data_error_and_keeps_what_it_held(tmp_path: Path) -> None:
    """The kernel itself refuses the write, here because of a limit on the size of files."""
    path = tmp_path / "kept.csv"
    now = 0.0
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    recorder = Recorder(path, clock=lambda: now)
    recorder.begin(SourceInfo("/dev/ttyUSB0", "shimmer3", FS_HZ))
    recorder.write(SampleBlock(np.zeros(100), FS_HZ, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        now = 2.0
        with pytest.raises(DataError, match="cannot be written") as caught:
            recorder.write(SampleBlock(np.full(1000, 1 / 3), FS_HZ, 100))
        assert "too large" in caught.value.why
        assert recorder.failed
        recorder.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    kept = np.concatenate([block.ecg_mv for block in replayed(path)])
    assert len(kept) > 100
    # The last line is torn; it must not come back as a sample of another value.
    assert set(kept.tolist()) == {0.0, 1 / 3}


def test_decide_runs_in_any_thread(model: Model, heart: Heart, cut: Cut, list_source: ListSource) -> None:
    found: list[Record] = []
    source = list_source(cut(heart(11, FS_HZ), FS_HZ), FS_HZ)
    thread = threading.Thread(target=lambda: found.extend(edge_ecg.decide(source, model)))
    thread.start()
    thread.join(timeout=30)
    assert isinstance(found[-1], EndRecord)
