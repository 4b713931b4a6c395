"""Reports: written, read back, refused, printed, put side by side."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg.bench.compare import compare, comparison_page
from edge_ecg.bench.measure import Plan, measure
from edge_ecg.bench.report import parse_report, read_report, save_report
from edge_ecg.bench.table import page
from edge_ecg.bundle import Golden, bundle_bytes, read_bundle
from edge_ecg.errors import DataError, GateError

from .conftest import MakePi, latency, make_report

SHORT = Plan(engine="litert-int8", windows=3, warm_up=1, hops=1, starts=1)


def test_a_bench_on_this_machine_reads_back_and_prints(bundle_path: Path, tmp_path: Path) -> None:
    bundle = read_bundle(bundle_path)
    at = datetime(2026, 1, 31, tzinfo=UTC)
    report = measure(bundle, str(bundle_path), replace(SHORT, raw=True), now=lambda: at)
    place = tmp_path / "deep" / "here.json"
    save_report(report, place)
    assert read_report(place) == report
    (row,) = report["engines"]
    assert report["time"] == "2026-01-31T00:00:00+00:00"
    assert (row["engine"], row["backend"], row["bytes"]) == (
        "litert-int8", "XNNPACK", len(bundle.read("encoder.int8.tflite")),
    )  # fmt: skip
    assert row["sha256"] == bundle.manifest.files["encoder.int8.tflite"].sha256
    assert len(row["samples_ms"]) == row["latency"]["windows"] == 3
    assert 0 < row["cold_start"]["loaded_s"] <= row["cold_start"]["first_decision_s"]
    assert any("p99 of 3 windows is rough" in remark for remark in report["remarks"])
    assert bundle.name_at_sha in page(report)


def test_an_emulated_machine_gets_agreement_and_no_times(bundle_path: Path, pi4: MakePi) -> None:
    host = pi4({"sys/block/mmcblk0/device/name": "QEMU!\n"})
    report = parse_report(json.dumps(measure(read_bundle(bundle_path), None, SHORT, host=host)), "it")
    (row,) = report["engines"]
    assert report["invalid"] == ["emulated"]
    assert report["machine"]["emulated"] == "the SD card is named QEMU!"
    assert (row["latency"], row["end_to_end"], row["duty"], row["cold_start"]) == (None,) * 4
    assert row["golden"]["equal"] == 1.0
    text = page(report)
    assert "EMULATED: the SD card is named QEMU!" in text
    assert "litert-int8  golden equal" in text
    assert " ms" not in text


def test_a_wrong_model_gets_none_even_on_an_emulated_machine(bundle_path: Path, pi4: MakePi) -> None:
    bundle = read_bundle(bundle_path)
    good = Golden.from_bundle(bundle)
    wrong = Golden(good.windows, {name: values[::-1] for name, values in good.embeddings.items()})
    data = bundle_bytes(bundle.manifest, {**bundle.contents, "golden.npz": wrong.to_bytes()})
    with pytest.raises(GateError, match="does not compute the right thing"):
        measure(read_bundle(io.BytesIO(data)), None, SHORT, host=pi4())


def test_a_report_of_a_pi_on_a_page() -> None:
    text = page(make_report())
    assert "Raspberry Pi 4 Model B Rev 1.5 (d03115), 4 cores, 8.2 GB, aarch64 (64-bit), Debian" in text
    assert (
        "clock 600 to 1800 MHz, ondemand; at 1500 -> 1800 MHz; temperature 51 -> 63 °C; "
        "throttled: never -> never; load 0.1"
    ) in text
    (row,) = [line for line in text.splitlines() if line.startswith("litert-int8  ") and "equal" in line]
    assert row.split() == [
        "litert-int8", "40.00", "44.00", "48.00", "60.00", "120", "80.00", "96.00", "8.0", "%", "1.40", "s",
        "61", "MB", "equal",
    ]  # fmt: skip
    assert "in real time" in text
    assert "INVALID" not in text
    assert "energy: not measured" in text


@pytest.mark.parametrize(
    ("bits", "text"),
    [(0x5, "NOW (0x5)"), (0x50000, "not now, but since boot (0x50000)"), (0, "never"), (None, "unknown")],
)
def test_throttling_in_words(bits: int | None, text: str) -> None:
    report = make_report(invalid=["throttled"] if bits == 5 else [])
    report["before"] = {**report["before"], "throttled": bits}
    shown = page(report)
    assert text in shown
    assert ("INVALID: throttled" in shown) is (bits == 5)


def test_side_by_side() -> None:
    here = make_report(2.0)
    here["engines"].append({**copy.deepcopy(here["engines"][0]), "engine": "onnx-int8"})
    there = make_report(40.0, host="pi@raspberrypi.local", invalid=["throttled"])
    there["engines"][0] |= {"duty": None, "sha256": 64 * "b"}
    found = compare(here, there)
    (engine,) = found["engines"]
    assert engine["ratios"]["encoder p50"] == engine["ratios"]["decision p50"] == pytest.approx(20.0)
    assert engine["ratios"]["in real time p50"] is None
    assert found["invalid"] == ["throttled"]
    text = comparison_page(json.loads(json.dumps(found)))
    assert "B: pi@raspberrypi.local: Raspberry Pi 4" in text
    assert "INVALID: B: throttled" in text
    assert "only in one of them: onnx-int8" in text
    assert "the files of this engine differ" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["encoder", "p50", "2.00", "ms", "40.00", "ms", "20.00"] in lines
    assert ["in", "real", "time", "p50", "3.90", "ms", "--", "--"] in lines


def test_side_by_side_with_an_emulated_machine() -> None:
    emulated = make_report()
    emulated["engines"][0] |= dict.fromkeys(("latency", "end_to_end", "duty", "cold_start"))
    emulated["machine"]["emulated"] = "its looks"
    found = compare(make_report(), parse_report(json.dumps(emulated), "it"))
    assert set(found["engines"][0]["ratios"].values()) == {None}
    assert "golden" in comparison_page(found)


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """All places in a report whose value the shape prescribes."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*at, key)
            yield from paths(inner, (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths(inner, (*at, index))


REPORT = make_report()
PLACES = [path for path in paths(REPORT) if path != ("engines",)]
NULLABLE = {"revision", "emulated", "hypervisor", "memory_mb", "load_1min", "temperature_c", "throttled"}
NULLABLE |= {"governor", "min_mhz", "max_mhz", "allowed_mhz", "current_mhz", "after", "latency", "end_to_end"}
NULLABLE |= {"duty", "cold_start", "rss_mb", "peak_rss_mb"}


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_every_value_is_looked_at(path: tuple[Any, ...]) -> None:
    """Missing, or of another type, and the report is refused; null only where that is a value."""
    for change in ("missing", object, None):
        report = copy.deepcopy(REPORT)
        inner = report
        for key in path[:-1]:
            inner = inner[key]
        if change == "missing":
            del inner[path[-1]]
        else:
            wrong = "x" if isinstance(inner[path[-1]], dict | list | int | float) else {}
            inner[path[-1]] = None if change is None else wrong
        if change is None and path[-1] in NULLABLE:
            assert page(parse_report(json.dumps(report), "it"))
            continue
        with pytest.raises(DataError, match="no report of"):
            parse_report(json.dumps(report), "it")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(PLACES), JSON)
def test_whatever_stands_in_a_report_it_prints_or_is_refused(path: tuple[Any, ...], value: object) -> None:
    report = copy.deepcopy(REPORT)
    inner = report
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    try:
        found = parse_report(json.dumps(report), "it")
    except DataError:
        return
    assert page(found)
    assert comparison_page(compare(found, REPORT))
    assert comparison_page(compare(REPORT, found))


@given(st.text() | JSON.map(json.dumps) | st.binary().map(lambda data: data.decode(errors="replace")))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="no report of"):
        parse_report(text, "it")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_report(tmp_path / "none.json")
    with pytest.raises(DataError, match="cannot be read"):
        read_report(tmp_path)
    with pytest.raises(DataError, match="cannot be written"):
        save_report(make_report(), tmp_path)


def test_how_deep_nesting_is_refused() -> None:
    with pytest.raises(DataError):
        parse_report("[" * 100_000, "it")


def test_an_engine_that_is_not_there_is_named() -> None:
    text = page(make_report(absent={"onnx-int8": "pip install 'edge-ecg[onnx]'"}))
    assert "onnx-int8: not installed here: pip install 'edge-ecg[onnx]'" in text


def test_few_windows_are_said() -> None:
    report = make_report()
    report["engines"][0]["latency"] = latency(40.0, 30)
    assert "30 windows, 100 decisions" in page(report)
