"""Sessions of devices with a time and an accelerometer of their own: records, recording, replay."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import edge_ecg
from edge_ecg.errors import DataError
from edge_ecg.model import Model
from edge_ecg.recorder import Recorder
from edge_ecg.records import DecisionRecord, EndRecord, EventRecord, Record
from edge_ecg.samples import SampleBlock, SourceEvent
from edge_ecg.session import Session
from edge_ecg.sources import Address, open_source

FS_HZ, REAL_HZ = 130.0, 130.9
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
Cut = Callable[..., list[SampleBlock]]
Heart = Callable[..., NDArray[np.float64]]
ListSource = Callable[[list[Any], float], Any]


def timed_blocks(
    ecg_mv: NDArray[np.float64], size: int = 73, *, moving: slice | None = None
) -> list[SampleBlock]:
    """A Polar-like stream: frames of 73 samples at 130.9 Hz that call themselves 130 Hz."""
    t = np.arange(len(ecg_mv)) / REAL_HZ
    g = np.tile([0.0, 0.0, 1.0], (len(ecg_mv), 1)) + 0.004 * np.random.default_rng(2).normal(size=(len(t), 3))
    g[:20] = np.nan
    if moving is not None:
        g[moving, 2] += 0.3 * np.sin(2 * np.pi * 1.8 * t[moving])
    return [
        SampleBlock(
            ecg_mv[at : at + size],
            FS_HZ,
            at,
            time_s=t[at : at + size],
            acceleration_g=g[at : at + size],
            arrived_s=float(t[min(at + size, len(t)) - 1]),
        )
        for at in range(0, len(ecg_mv), size)
    ]


def timeless(record: Record) -> dict[str, Any]:
    volatile = ("time", "latency_ms", "inference_ms", "source", "device", "measured_fs_hz")
    return {key: value for key, value in record.to_json().items() if key not in volatile}


def recorded(source: Any, model: Model | None, path: Path, **options: Any) -> list[Record]:
    with Recorder(path) as recorder:
        session = Session(source, model, recorder=recorder, **options)
        recorder.begin(source.info)
        return [*session, session.end()]


def test_replay_gives_the_decisions_of_the_run(
    model: Model, heart: Heart, list_source: ListSource, tmp_path: Path
) -> None:
    """With a long gap, a short one that is drawn over, and a walk."""
    blocks = timed_blocks(heart(80, REAL_HZ), moving=slice(5200, 6500))
    blocks = [*blocks[:20], replace(blocks[24], gap_before=4 * 73), *blocks[25:]]
    blocks[60] = replace(blocks[60].part(4, 73), gap_before=4)
    path = tmp_path / "kept.csv"
    live = recorded(list_source(blocks, FS_HZ), model, path)
    again = list(edge_ecg.decide(Address("file", str(path), {"speed": "max"}), model))
    assert list(map(timeless, again)) == list(map(timeless, live))
    decisions = [record for record in live if isinstance(record, DecisionRecord)]
    assert {reason for record in decisions for reason in record.withheld} >= {"warming_up", "gap", "motion"}
    assert {record.bridged_samples for record in decisions} == {0, 4}
    assert any(record.decision is not None and record.bridged_samples for record in decisions)
    end = live[-1]
    assert isinstance(end, EndRecord)
    assert end.lost_samples == 4 * 73 + 4
    gaps = [record for record in live if isinstance(record, EventRecord) and record.event == "gap"]
    assert [gap.detail["lost_samples"] for gap in gaps] == [4 * 73, 4]
    assert gaps[1].at_s == pytest.approx((64 * 73 + 4) / REAL_HZ)  # the device's own seconds


def test_columns_come_back_bit_for_bit(heart: Heart, list_source: ListSource, tmp_path: Path) -> None:
    blocks = timed_blocks(heart(5, REAL_HZ))
    recorded(list_source(blocks, FS_HZ), None, tmp_path / "kept.csv")
    with open_source(Address("file", str(tmp_path / "kept.csv"), {"speed": "max"})) as source:
        assert source.info.fs_hz == FS_HZ
        found = [item for item in source if isinstance(item, SampleBlock)]
    for name in ("ecg_mv", "time_s", "acceleration_g"):
        np.testing.assert_array_equal(
            np.concatenate([getattr(block, name) for block in found]),
            np.concatenate([getattr(block, name) for block in blocks]),
        )


def test_a_recording_played_from_its_middle_begins_at_zero(
    heart: Heart, list_source: ListSource, tmp_path: Path
) -> None:
    recorded(list_source(timed_blocks(heart(30, REAL_HZ)), FS_HZ), None, tmp_path / "kept.csv")
    with open_source(Address("file", str(tmp_path / "kept.csv"), {"speed": "max", "start": "10"})) as source:
        blocks = [item for item in source if isinstance(item, SampleBlock)]
    assert blocks[0].first_sample == 0
    assert blocks[0].start_s == 0.0
    assert blocks[-1].end_s == pytest.approx(30.0 - 1300 / REAL_HZ, abs=2 / FS_HZ)


@st.composite
def timed_streams(draw: st.DrawFn) -> list[SampleBlock]:
    """Blocks with gaps, times that rise unevenly from 0, and accelerations that are not always known."""
    blocks, number, at_s = [], 0, 0.0
    accelerated = draw(st.booleans())
    value = st.floats(-500, 500)
    for _ in range(draw(st.integers(1, 6))):
        n = draw(st.integers(1, 15))
        lost = draw(st.integers(0, 3)) if blocks else 0
        number += lost
        steps = draw(st.lists(st.floats(1e-3, 1.0), min_size=n, max_size=n))
        t = at_s + np.cumsum([0.0, *steps[1:]])
        g = st.one_of(st.floats(-16, 16), st.just(np.nan))
        blocks.append(
            SampleBlock(
                np.array(draw(st.lists(value, min_size=n, max_size=n))),
                FS_HZ,
                number,
                lost,
                time_s=t,
                acceleration_g=np.array(draw(st.lists(g, min_size=3 * n, max_size=3 * n))).reshape(n, 3)
                if accelerated
                else None,
            )
        )
        number += n
        at_s = float(t[-1]) + steps[0]
    return blocks


@given(timed_streams())
@settings(max_examples=40, deadline=None)
def test_any_stream_with_times_comes_back_bit_for_bit(stream: list[SampleBlock]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kept.csv"
        with Recorder(path) as recorder:
            recorder.begin(edge_ecg.SourceInfo("x:", "x", FS_HZ))
            for block in stream:
                recorder.write(block)
        with open_source(Address("file", str(path), {"speed": "max"})) as source:
            found = [item for item in source if isinstance(item, SampleBlock)]
    for name in ("ecg_mv", "time_s", "acceleration_g"):
        parts = [[getattr(block, name) for block in blocks] for blocks in (found, stream)]
        if parts[1][0] is None:
            assert all(part is None for part in parts[0])
        else:
            np.testing.assert_array_equal(*map(np.concatenate, parts))
    numbers = [
        np.concatenate([np.arange(b.first_sample, b.first_sample + len(b)) for b in blocks])
        for blocks in (found, stream)
    ]
    np.testing.assert_array_equal(*numbers)


def test_marks_and_times_count_from_the_first_sample_that_the_file_holds(
    heart: Heart, list_source: ListSource, tmp_path: Path
) -> None:
    blocks = timed_blocks(heart(20, REAL_HZ))[5:]
    marker = SourceEvent("marker", 12.0, {"text": "coffee"})
    live = recorded(list_source([*blocks[:20], marker, *blocks[20:]], FS_HZ), None, tmp_path / "kept.csv")
    with open_source(Address("file", str(tmp_path / "kept.csv"), {"speed": "max"})) as source:
        items = list(source)
    (mark,) = [item for item in items if isinstance(item, SourceEvent)]
    assert mark.at_s == pytest.approx(12.0 - blocks[0].start_s, abs=1e-6)
    first, *_, last = (item for item in items if isinstance(item, SampleBlock))
    assert (first.start_s, first.first_sample) == (0.0, 0)
    assert last.end_s == pytest.approx(blocks[-1].end_s - blocks[0].start_s)
    assert isinstance(live[-1], EndRecord)


def test_device_times_that_fall_back_are_a_damaged_recording(
    heart: Heart, list_source: ListSource, tmp_path: Path
) -> None:
    path = tmp_path / "kept.csv"
    recorded(list_source(timed_blocks(heart(5, REAL_HZ)), FS_HZ), None, path)
    lines = path.read_text().splitlines(keepends=True)
    fields = lines[300].split(",")
    fields[2] = "0.25"
    lines[300] = ",".join(fields)
    path.write_text("".join(lines))
    with (
        open_source(Address("file", str(path), {"speed": "max"})) as source,
        pytest.raises(DataError, match="do not rise"),
    ):
        list(source)


def test_a_column_that_later_blocks_lack_is_not_known_there(tmp_path: Path) -> None:
    with Recorder(tmp_path / "kept.csv") as recorder:
        recorder.begin(edge_ecg.SourceInfo("x:", "x", FS_HZ))
        recorder.write(SampleBlock(np.zeros(2), FS_HZ, 0, acceleration_g=np.ones((2, 3))))
        recorder.write(SampleBlock(np.zeros(1), FS_HZ, 2))
    rows = (tmp_path / "kept.csv").read_text().splitlines()[-4:]
    assert rows == [
        "sample,ecg_mv,acc_x_g,acc_y_g,acc_z_g",
        "0,0.0,1.0,1.0,1.0",
        "1,0.0,1.0,1.0,1.0",
        "2,0.0,nan,nan,nan",
    ]


def test_a_column_that_only_later_blocks_have_is_kept(tmp_path: Path) -> None:
    """A strap tells of its contact a second after its first samples; a board of its accelerometer."""
    path = tmp_path / "kept.csv"
    off = np.array([True, False])
    with Recorder(path) as recorder:
        recorder.begin(edge_ecg.SourceInfo("x:", "polar-h10", 130.0))
        recorder.write(SampleBlock(np.zeros(2), 130.0, 0, saturated=np.zeros(2, bool)))
        recorder.write(
            SampleBlock(np.ones(2), 130.0, 2, lead_off=off, saturated=off, acceleration_g=np.ones((2, 3)))
        )
        recorder.write(SampleBlock(np.ones(1), 130.0, 4, saturated=np.ones(1, bool)))
    assert path.read_text().splitlines()[-6:] == [
        "sample,ecg_mv,saturated,lead_off,acc_x_g,acc_y_g,acc_z_g",
        "0,0.0,0,0,nan,nan,nan",
        "1,0.0,0,0,nan,nan,nan",
        "2,1.0,1,1,1.0,1.0,1.0",
        "3,1.0,0,0,1.0,1.0,1.0",
        "4,1.0,1,0,nan,nan,nan",
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["kept.csv"]
    assert path.stat().st_mode & 0o777 == 0o600
    with open_source(Address("file", str(path), {"speed": "max"})) as source:
        (block,) = (item for item in source if isinstance(item, SampleBlock))
    assert block.lead_off is not None
    assert block.lead_off.tolist() == [False, False, True, False, False]


@pytest.mark.parametrize("size", [1, 73, 9999])
def test_duration_is_device_time(heart: Heart, list_source: ListSource, tmp_path: Path, size: int) -> None:
    source = list_source(timed_blocks(heart(20, REAL_HZ), size), FS_HZ)
    with Recorder(tmp_path / "kept.csv") as recorder:
        session = Session(source, None, duration_s=12, recorder=recorder)
        recorder.begin(source.info)
        list(session)
    assert session.end().reason == "duration"
    assert recorder.samples == 1571  # samples 0 to 1570 lie before 12 s at 130.9 Hz


def test_the_decision_s_time_is_the_window_s_end_not_the_jitter_of_its_arrival(
    model: Model, heart: Heart, cut: Cut, list_source: ListSource
) -> None:
    """Blocks come up to 0.4 s late; the host's clock reads what the arrival says."""
    rng = np.random.default_rng(4)
    now = 0.0
    blocks = []
    for block in cut(heart(90, 256.0), 256.0, [25]):
        late_s = float(rng.exponential(0.02) + 0.4 * (rng.random() < 0.1))
        blocks.append(replace(block, arrived_s=1000.0 + block.end_s + late_s))

    class Ticking:
        info = list_source([], 256.0).info

        def __iter__(self) -> Any:
            nonlocal now
            for block in blocks:
                now = max(now, block.arrived_s)
                yield block

    session = Session(
        Ticking(),  # type: ignore[arg-type]
        model,
        clock=lambda: now,
        wall_clock=lambda: NOON + timedelta(seconds=now - 1000.0),
    )
    records = list(session)
    errors = [
        (record.time - NOON).total_seconds() - record.end_s
        for record in records
        if isinstance(record, DecisionRecord) and record.end_s > 40.0
    ]
    assert np.abs(errors).max() < 0.02
    assert session.end().measured_fs_hz == pytest.approx(256.0, rel=2e-4)


def test_without_arrivals_the_time_is_the_record_s_own(
    model: Model, heart: Heart, list_source: ListSource
) -> None:
    block = SampleBlock(heart(12, 256.0), 256.0, 0)
    records = list(Session(list_source([block], 256.0), model, wall_clock=lambda: NOON))
    assert {record.time for record in records if isinstance(record, DecisionRecord)} == {NOON}


def test_losses_of_the_last_ten_seconds_and_minute(
    model: Model, heart: Heart, list_source: ListSource
) -> None:
    ecg_mv = heart(100, 256.0)
    starts = [0, 20 * 256 + 5, 41 * 256, 99 * 256 + 7]
    stops = [20 * 256, 40 * 256, 99 * 256, 100 * 256]
    blocks = [SampleBlock(ecg_mv[a:b], 256.0, a) for a, b in zip(starts, stops, strict=True)]
    records = list(edge_ecg.decide(list_source(blocks, 256.0), model))
    by_end = {record.end_s: record for record in records if isinstance(record, DecisionRecord)}
    last = by_end[100.0].to_json()
    assert (last["lost_10s"], last["lost_60s"], last["lost_session"], last["bridged_samples"]) == (
        7,
        263,
        268,
        7,
    )
    end = records[-1].to_json()
    assert (end["lost_samples"], end["lost_10s"], end["lost_60s"]) == (268, 7, 263)


def test_a_window_with_too_much_drawn_in_is_withheld(
    model: Model, heart: Heart, list_source: ListSource
) -> None:
    """Nine of 256 samples each second: three and a half per cent."""
    ecg_mv = heart(30, 256.0)
    blocks = [SampleBlock(ecg_mv[at + 9 : at + 256], 256.0, at + 9) for at in range(0, len(ecg_mv), 256)]
    decisions = [
        record
        for record in edge_ecg.decide(list_source(blocks, 256.0), model)
        if isinstance(record, DecisionRecord)
    ]
    assert all(record.withheld == ("gap",) for record in decisions[2:])
    assert decisions[-1].bridged_samples == 90


def test_a_rate_that_was_counted_wrong_is_told(heart: Heart, list_source: ListSource) -> None:
    ecg_mv = heart(120, 250.0)
    blocks = [
        SampleBlock(ecg_mv[at : at + 50], 250.0, at, arrived_s=(at + 50) / 245.0)
        for at in range(0, len(ecg_mv), 50)
    ]
    session = Session(list_source(blocks, 250.0), None)
    (told,) = [record for record in session if isinstance(record, EventRecord)]
    assert told.event == "rate"
    assert told.detail["fs_hz"] == 250.0
    assert told.detail["measured_fs_hz"] == pytest.approx(245.0, abs=0.01)
    assert session.end().measured_fs_hz == pytest.approx(245.0, abs=0.01)


def test_the_end_says_what_was_thrown_away(heart: Heart, list_source: ListSource) -> None:
    source = list_source([SampleBlock(heart(2, 256.0), 256.0, 0)], 256.0)
    source.counters = {"packets_rejected": 3, "reconnects": 1}
    session = Session(source, None)
    list(session)
    assert session.end().to_json()["counters"] == {"packets_rejected": 3, "reconnects": 1}
