"""``edge-ecg data`` and ``edge-ecg evaluate``, as a user types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from edge_ecg.cli import main
from edge_ecg_train.checkpoint import save_encoder
from edge_ecg_train.datasets import DATASETS
from edge_ecg_train.networks import Trunk
from edge_ecg_train.store import WindowStore


def _run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _run(capsys, "data", "list")
    assert code == 0
    for name in DATASETS:
        assert name in out
    code, out, err = _run(capsys, "data", "list", "--json")
    entries = [json.loads(line) for line in out.splitlines()]
    assert [entry["name"] for entry in entries] == list(DATASETS)
    assert entries[0]["labels"] == {"stress": ["rest", "stress"]}
    assert err == ""


def test_check(capsys: pytest.CaptureFixture[str], fake_data: Any) -> None:
    root = fake_data.all()
    code, out, _ = _run(capsys, "data", "check", "eegmat", "qtdb", "--root", root)
    assert code == 0
    assert "eegmat: whole" in out
    assert "3 people" in out
    (root / "eegmat-ecg" / "recordings.csv").unlink()
    code, out, _ = _run(capsys, "data", "check", "eegmat", "qtdb", "--root", root)
    assert code == 5
    assert "eegmat: NOT whole" in out
    assert "missing: recordings.csv" in out
    assert DATASETS["eegmat"].url in out
    code, out, _ = _run(capsys, "data", "check", "eegmat", "qtdb", "--root", root, "--json")
    reports = [json.loads(line) for line in out.splitlines()]
    assert [one["complete"] for one in reports] == [False, True]


def test_check_prints_no_control_characters_of_a_strangers_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.csv").write_text("file,subject,stress\nben\x1b[2J.csv,ben,rest\n", encoding="utf-8")
    code, out, _ = _run(capsys, "data", "check", "generic", "--root", tmp_path)
    assert code == 5
    assert "is missing" in out
    assert "\x1b" not in out


def test_list_has_what_a_reader_of_numbers_must_know(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = _run(capsys, "data", "list", "--json")
    entries = {entry["name"]: entry for entry in map(json.loads, out.splitlines())}
    assert entries["dreamer"]["labels"]["arousal5"] == ["1", "2", "3", "4", "5"]
    assert entries["qtdb"]["labels"] == {}
    assert "Nobody annotated stress" in entries["drivedb"]["caution"]


def test_a_long_list_of_missing_files_is_cut(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "drive01.hea").write_text("nonsense")
    code, out, _ = _run(capsys, "data", "check", "drivedb", "--root", tmp_path)
    assert code == 5
    assert out.count("missing: drive") == 12
    assert "missing: 23 more" in out
    _, out, _ = _run(capsys, "data", "check", "drivedb", "--root", tmp_path, "--json")
    assert len(json.loads(out)["missing"]) == 35


def test_how_labels_are_made_is_recorded(
    capsys: pytest.CaptureFixture[str], fake_data: Any, tmp_path: Path
) -> None:
    root = fake_data.eegmat()
    hashes = {}
    for kind in ("whole", "max"):
        words = ("data", "prepare", "eegmat", "--root", root, "-o", tmp_path / kind, "--labels", kind)
        code, out, _ = _run(capsys, *words)
        store = WindowStore.open(tmp_path / kind)
        counts = [int((store.label("stress") == number).sum()) for number in (0, 1)]
        assert code == 0
        assert f"stress: rest {counts[0]}, stress {counts[1]}" in out
        assert f"labels {store.labels_hash[:12]}" in out
        assert store.labelling["kind"] == kind
        hashes[kind] = store.store_hash
    assert hashes["whole"] != hashes["max"]


def test_a_channel_where_there_is_no_choice(
    capsys: pytest.CaptureFixture[str], fake_data: Any, tmp_path: Path
) -> None:
    root = fake_data.eegmat()
    for words in (("check", "eegmat"), ("prepare", "eegmat", "-o", tmp_path / "store")):
        code, _, err = _run(capsys, "data", *words, "--root", root, "--channel", "ECG")
        assert code == 2
        assert "cannot be chosen" in err


def test_prepare(capsys: pytest.CaptureFixture[str], fake_data: Any, tmp_path: Path) -> None:
    root = fake_data.all()
    store = tmp_path / "store"
    code, out, err = _run(
        capsys, "data", "prepare", "eegmat", "mitdb", "--root", root, "-o", store, "--hop", "5"
    )
    assert code == 0
    opened = WindowStore.open(store)
    assert f"{len(opened)} windows" in out
    assert "100 %" in err
    assert set(opened.dataset) == {"eegmat", "mitdb"}
    assert opened.info["windowing"]["hop_s"] == 5
    words = ("data", "prepare", "eegmat", "--root", root / "eegmat-ecg", "-o", store, "--json")
    code, out, _ = _run(capsys, *words, "--overwrite", "--normalisation", "recording", "--notch", "50")
    assert code == 0
    (line,) = out.splitlines()
    assert json.loads(line)["preprocessing"]["normalisation"] == "recording"
    assert WindowStore.open(store).preprocessing_hash != opened.preprocessing_hash


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["wesad2"], 2, "There is no data set 'wesad2'"),
        (["eegmat", "--hop", "0"], 2, "A hop of 0 s is not possible"),
        (["eegmat", "--hop", "0.5"], 2, "A hop of 0.5 s is not possible"),
        (["eegmat", "--hop", "nan"], 2, "A hop of nan s is not possible"),
        (["qtdb"], 5, "does not hold the data set qtdb"),
    ],
)
def test_prepare_refuses(
    capsys: pytest.CaptureFixture[str],
    fake_data: Any,
    tmp_path: Path,
    words: list[str],
    code: int,
    sentence: str,
) -> None:
    root = fake_data.eegmat()
    got, out, err = _run(capsys, "data", "prepare", *words, "--root", root, "-o", tmp_path / "store")
    assert got == code
    assert sentence in err
    assert "  try: " in err
    assert out == ""
    assert not (tmp_path / "store").exists()


def test_prepare_does_not_replace(capsys: pytest.CaptureFixture[str], fake_data: Any, tmp_path: Path) -> None:
    root = fake_data.eegmat()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text").write_text("years of work")
    code, _, err = _run(
        capsys, "data", "prepare", "eegmat", "--root", root, "-o", tmp_path / "thesis", "--overwrite"
    )
    assert code == 5
    assert "no window store" in err
    assert (tmp_path / "thesis" / "text").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_prepare_leaves_nothing(fake_data: Any, tmp_path: Path, number: signal.Signals) -> None:
    root = fake_data.mitdb(records=("100",), duration_s=1500.0)
    (tmp_path / "out").mkdir()
    start = "import sys; from edge_ecg.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            start,
            "data",
            "prepare",
            "mitdb",
            "--root",
            str(root),
            "-o",
            str(tmp_path / "out" / "store"),
        ],
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    # The hidden folder beside the store appears when the work begins.
    while not any((tmp_path / "out").iterdir()) and process.poll() is None:
        pass
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert b"Traceback" not in err
    assert list((tmp_path / "out").iterdir()) == []


# evaluate


@pytest.fixture
def trained(fake_data: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, Path]:
    """A run with an untrained encoder, and a labelled store of four people."""
    root = fake_data.eegmat(people=4, rest_s=75.0)
    store, run = tmp_path / "store", tmp_path / "run"
    assert main(["data", "prepare", "eegmat", "--root", str(root), "-o", str(store)]) == 0
    capsys.readouterr()
    run.mkdir()
    torch.manual_seed(0)
    save_encoder(run / "encoder.npz", Trunk())
    facts = {
        "name": "small",
        "pretext": {"datasets": ["qtdb"]},
        "preprocessing": dict(WindowStore.open(store).preprocessing),
    }
    (run / "run.json").write_text(json.dumps(facts))
    return run, store


@pytest.mark.slow
def test_evaluate(capsys: pytest.CaptureFixture[str], trained: tuple[Path, Path]) -> None:
    run, store = trained
    code, out, err = _run(capsys, "evaluate", run, store, "--draws", "50", "--json")
    assert code == 0
    (line,) = out.splitlines()
    card = json.loads(line)
    assert card["type"] == "card"
    assert card["task"] == "stress"
    assert card["trustworthy"] is True
    assert [(one["protocol"], one["baseline_s"], one["context_s"]) for one in card["settings"]] == [
        ("leave-one-subject-out", 0.0, 0.0),
        ("leave-one-subject-out", 0.0, 30.0),
        ("leave-one-subject-out", 60.0, 0.0),
        ("leave-one-subject-out", 60.0, 30.0),
        ("random-windows", 0.0, 0.0),
    ]
    assert "7/7 cells" in err
    assert not (run / "CARD.md").exists()
    assert "card" not in json.loads((run / "run.json").read_text())

    # The second time everything comes from the cache, and the numbers are the same.
    output = run.parent / "out"
    words = ("evaluate", run, store, "--draws", "50", "--write-card", "-o", output)
    code, out, err = _run(capsys, *words)
    assert code == 0
    assert "windows/s" not in err
    for said in (
        "60 s of personal baseline",
        "the reference",
        "Cognitive stress",
        f"in {output} are CARD.md",
    ):
        assert said in " ".join(out.split())
    facts = json.loads((run / "run.json").read_text())
    assert facts["name"] == "small"
    assert facts["card"]["schema"] == 2
    kept = facts["card"]["tasks"]["stress"]
    assert kept["system"] == "encoder + linear head"
    ours = [row["metrics"]["auc"] for row in kept["rows"] if row["system"] == kept["system"]]
    assert ours == [
        one["metrics"]["auc"]
        for setting in card["settings"]
        for one in setting["systems"]
        if one["system"] == kept["system"]
    ]
    assert "leave-one-subject-out" in (run / "CARD.md").read_text()
    assert json.loads((output / "card.json").read_text())["settings"] == card["settings"]
    assert "<html" in (output / "card.html").read_text()
    # In full there is what two screens leave out.
    code, full, _ = _run(capsys, "evaluate", run, store, "--draws", "50", "--full")
    assert code == 0
    assert "Person by person" in full
    assert "Person by person" not in out


def test_evaluate_refuses_windows_prepared_in_another_way(
    capsys: pytest.CaptureFixture[str], trained: tuple[Path, Path], fake_data: Any, tmp_path: Path
) -> None:
    run, _ = trained
    other = tmp_path / "other"
    words = (
        "data",
        "prepare",
        "eegmat",
        "--root",
        fake_data.root,
        "-o",
        other,
        "--normalisation",
        "recording",
    )
    assert _run(capsys, *words)[0] == 0
    code, out, err = _run(capsys, "evaluate", run, other)
    assert code == 5
    assert "normalisation 'calibrated' in the run, 'recording' in the store" in err
    assert out == ""


def test_evaluate_refuses(
    capsys: pytest.CaptureFixture[str], trained: tuple[Path, Path], fake_data: Any, tmp_path: Path
) -> None:
    run, store = trained
    code, _, err = _run(capsys, "evaluate", tmp_path / "nothing", store)
    assert (code, "is not a run" in err) == (5, True)
    code, _, err = _run(capsys, "evaluate", run, tmp_path / "nothing")
    assert (code, "no window store" in err) == (5, True)
    code, _, err = _run(capsys, "evaluate", run, store, "--task", "valence")
    assert (code, "no labels for the task 'valence'" in err) == (5, True)
    code, _, err = _run(capsys, "evaluate", run, store, "--draws", "0")
    assert (code, "0 draws" in err) == (2, True)
    fake_data.mitdb()
    assert _run(capsys, "data", "prepare", "mitdb", "--root", fake_data.root, "-o", tmp_path / "m")[0] == 0
    code, _, err = _run(capsys, "evaluate", run, tmp_path / "m")
    assert (code, "nothing to evaluate" in err) == (5, True)
    (run / "encoder.npz").unlink()
    code, _, err = _run(capsys, "evaluate", run, store)
    assert code == 5
