"""A run to a bundle: split by people, contents, golden windows, foreseen failures, the command line."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import edge_ecg
from edge_ecg.bundle import Golden, read_bundle
from edge_ecg.cli import main
from edge_ecg.errors import DataError
from edge_ecg.heads import MlpHead
from edge_ecg_export.build import ENCODER_FILES, ExportSettings, export_run, split_rows
from edge_ecg_train.run_dir import RunDir
from edge_ecg_train.store import WindowStore

Windows = NDArray[np.float32]
StoreMaker = Callable[[Path, list[Windows]], WindowStore]
SETTINGS = ExportSettings("small", "1.2.3", datetime(2026, 1, 31, tzinfo=UTC), calibration_windows=12)
FLOATS = {"litert-fp32", "onnx-fp32"}


@pytest.mark.parametrize("count", [2, 3, 8, 41])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_person_is_on_both_sides(count: int, seed: int) -> None:
    subjects = np.random.default_rng(seed).permutation(np.repeat([f"p{i}" for i in range(count)], 30))
    settings = replace(SETTINGS, seed=seed, calibration_windows=50)
    calibrating, checking = split_rows(subjects, settings)
    assert not set(subjects[calibrating]) & set(subjects[checking])
    assert len(np.unique(subjects[checking])) == max(1, round(count / 4))
    assert set(subjects[checking]).isdisjoint(subjects[np.setdiff1d(np.arange(len(subjects)), checking)])
    assert 25 <= len(calibrating) <= 50
    again = split_rows(subjects, settings)
    np.testing.assert_array_equal(again[0], calibrating)
    np.testing.assert_array_equal(again[1], checking)


@pytest.mark.parametrize("lean", [pytest.param(False, marks=pytest.mark.slow), True])
def test_bundle_contents(
    run: RunDir, store: WindowStore, tmp_path: Path, head: MlpHead, *, lean: bool
) -> None:
    exported = export_run(run, store, replace(SETTINGS, lean=lean))
    bundle = read_bundle(io.BytesIO(exported.data))
    shipped = {name: file for name, file in ENCODER_FILES.items() if not (lean and name in FLOATS)}
    text = zipfile.ZipFile(io.BytesIO(exported.data)).read("manifest.json").decode()
    manifest = json.loads(text)
    assert manifest["engines"] == shipped
    assert set(manifest["files"]) == {*shipped.values(), "heads/stress.npz", "golden.npz", "CARD.md"}
    assert (manifest["name"], manifest["version"]) == ("small", "1.2.3")
    assert manifest["created"] == "2026-01-31T00:00:00+00:00"
    assert manifest["tasks"]["stress"]["labels"] == ["rest", "stress"]
    assert manifest["card"] == {"note": "small"}
    assert manifest["training"]["emotion"] == {"protocol": "loso"}
    assert manifest["training"]["pretext"] == {"seed": 1, "steps": 2}
    # The float files are checked even when they are not shipped.
    assert set(manifest["training"]["gate"]["engines"]) == set(ENCODER_FILES)
    for place in (tmp_path, store.path, Path(__file__).parent):
        assert str(place) not in text

    path = tmp_path / "small.ecgb"
    path.write_bytes(exported.data)
    golden = Golden.from_bundle(bundle)
    assert set(golden.embeddings) == set(shipped)
    for engine, embeddings in golden.embeddings.items():
        made = edge_ecg.load_model(path, engine).embed(golden.windows)
        np.testing.assert_allclose(made, embeddings, atol=0 if "int8" in engine else 1e-5, rtol=0)
    expected = head.probabilities(golden.embeddings["litert-int8"])
    np.testing.assert_allclose(golden.probabilities["stress"], expected, atol=1e-6)


@pytest.mark.slow
def test_two_exports_are_the_same_bytes(run: RunDir, store: WindowStore) -> None:
    settings = replace(SETTINGS, lean=True)
    assert export_run(run, store, settings).data == export_run(run, store, settings).data


def test_run_without_heads(run: RunDir, store: WindowStore) -> None:
    facts = run.read_json() | {"tasks": {}}
    (run.path / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(DataError, match="no head to export"):
        export_run(run, store, SETTINGS)


def test_heads_or_a_card_of_another_encoder(run: RunDir, store: WindowStore) -> None:
    # An interrupted pretext run got heads and a card, and was then resumed.
    run.update_json(head_encoders={"stress": run.encoder_sha256()}, card_encoders={"stress": "0" * 64})
    with pytest.raises(DataError, match=r"card of the task 'stress'.*--write-card"):
        export_run(run, store, SETTINGS)
    run.update_json(head_encoders={"stress": "0" * 64}, card_encoders={})
    with pytest.raises(DataError, match=r"head of the task 'stress'.*edge-ecg train emotion"):
        export_run(run, store, SETTINGS)


def test_a_card_of_another_head(run: RunDir, store: WindowStore) -> None:
    # A head was judged, and then another one trained in its place.
    run.update_json(
        emotion={"stress": {"head": {"kind": "hybrid"}}}, card_heads={"stress": {"kind": "linear"}}
    )
    with pytest.raises(DataError, match=r"card of the task 'stress'.* another head.*--write-card"):
        export_run(run, store, SETTINGS)


def test_a_store_that_was_prepared_in_another_way(run: RunDir, store: WindowStore) -> None:
    run.update_json(preprocessing={**store.preprocessing, "normalisation": "recording"})
    with pytest.raises(DataError, match=r"prepared in another way.*normalisation 'recording'"):
        export_run(run, store, SETTINGS)


def test_one_person_is_too_few(
    run: RunDir, people: list[Windows], make_store: StoreMaker, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="at least two people"):
        export_run(run, make_store(tmp_path / "alone", people[:1]), SETTINGS)


@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_a_head_that_cannot_be_read_is_trained_again(
    run: RunDir, store: WindowStore, content: bytes | None
) -> None:
    run.head("stress").unlink()
    if content is not None:
        run.head("stress").write_bytes(content)
    with pytest.raises(DataError, match=r"stress.npz cannot be read.*edge-ecg train emotion"):
        export_run(run, store, SETTINGS)


def test_an_output_that_is_a_folder_is_refused_before_the_work(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run.path), "-o", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err


def test_damaged_encoder(run: RunDir, store: WindowStore) -> None:
    whole = run.encoder.read_bytes()
    for data in (b"", b"nonsense", whole[: len(whole) // 2]):
        run.encoder.write_bytes(data)
        with pytest.raises(DataError, match="encoder"):
            export_run(run, store, SETTINGS)


def test_command_line(run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "small.ecgb"
    assert main(["export", str(run.path), "-o", str(out), "--json", "--calibration-windows", "8"]) == 0
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    assert record["type"] == "export"
    assert record["bytes"] == out.stat().st_size
    assert record["gate"]["windows"] == 8
    assert edge_ecg.load_model(out).bundle.manifest.name == "small"
    assert [path.name for path in out.parent.iterdir()] == ["small.ecgb"]


def test_command_line_prints_tables(run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "small.ecgb"
    assert main(["export", str(run.path), "-o", str(out), "--lean", "--calibration-windows", "8"]) == 0
    said = capsys.readouterr()
    printed = said.out
    assert all(name in printed for name in (*ENCODER_FILES, "conv1", "conv6", "come or go"))
    # The gate takes longer than calibration: it is not counted as a part of it.
    counted, then = said.err.strip().splitlines()[-2:]
    assert "100 %" in counted
    assert then == "quantising, and comparing with PyTorch"


@pytest.mark.parametrize(
    "arguments", [["--calibration-windows", "7"], ["--min-confidence", "1.5"]], ids=lambda given: given[0]
)
def test_command_line_usage(run: RunDir, tmp_path: Path, arguments: list[str]) -> None:
    assert main(["export", str(run.path), "-o", str(tmp_path / "x.ecgb"), *arguments]) == 2


def test_command_line_without_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path / "none"), "-o", str(tmp_path / "x.ecgb")]) == 5
    assert "is not a run" in capsys.readouterr().err


def test_command_line_stopped_by_the_gate(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_ecg_export.gate.MAX_FLIPS", -1.0)
    out = tmp_path / "x.ecgb"
    arguments = ["export", str(run.path), "-o", str(out), "--calibration-windows", "8"]
    assert main(arguments) == 6
    assert "decisions flip" in capsys.readouterr().err
    assert not out.exists()
