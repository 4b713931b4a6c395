"""``edge-ecg evaluate --recipe``: from recordings to a card on disk, in one command."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from edge_ecg.cli import main
from edge_ecg.errors import DataError, UsageError

RECIPE = """
title: A small card
data: {sets: [eegmat], hop_s: 5}
task: stress
protocols: [leave-one-subject-out, random-windows-5]
baselines_s: [0, 30]
systems:
  - {id: three, kind: heart}
  - {id: rate, kind: heart, intervals: [heart_rate_bpm]}
reference: three
pairs: [[rate, three]]
draws: 20
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    place = tmp_path / "small.yaml"
    place.write_text(RECIPE)
    return place


@pytest.fixture
def root(fake_data: Any) -> Path:
    folder: Path = fake_data.eegmat(people=4, rest_s=45.0)
    return folder.parent


def command(recipe: Path, root: Path, output: Path, *more: str) -> list[str]:
    return ["evaluate", "--recipe", str(recipe), "--root", str(root), "-o", str(output),
            "--executor", "serial", *more]  # fmt: skip


@pytest.mark.slow
def test_a_card_in_one_command(
    recipe: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert main(command(recipe, root, output)) == 0
    said = capsys.readouterr()
    assert "A small card" in said.out
    assert "heart rate, SDNN, RMSSD + logistic regression" in said.out
    assert "100 %  6/6 cells" in said.err
    assert f"CARD.md, card.html and card.json in {output}, or --full" in said.out
    assert "Person by person" not in said.out
    card = json.loads((output / "card.json").read_text())
    assert card["title"] == "A small card"
    assert card["trustworthy"] is True
    assert "A small card" in (output / "CARD.md").read_text()
    assert "<html" in (output / "card.html").read_text()
    # Again, as JSON: nothing is computed, and the numbers are the same.
    assert main(command(recipe, root, output, "--full")) == 0
    assert "Person by person" in capsys.readouterr().out
    assert main(command(recipe, root, output, "--json")) == 0
    said = capsys.readouterr()
    (line,) = said.out.splitlines()
    again = json.loads(line)
    assert again["type"] == "card"
    for key in set(card) - {"facts"}:
        assert again[key] == card[key], key


def test_the_root_comes_from_the_environment(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--recipe", str(recipe), "-o", str(tmp_path / "out")]
    monkeypatch.delenv("EDGE_ECG_DATA", raising=False)
    assert main(arguments) == UsageError.exit_code
    assert "set EDGE_ECG_DATA=DIR" in capsys.readouterr().err
    monkeypatch.setenv("EDGE_ECG_DATA", str(tmp_path / "empty"))
    assert main(arguments) == DataError.exit_code
    assert "does not hold the data set eegmat" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--executor", "dask"], "no executor 'dask'"),
        (["--jobs", "-1"], "--jobs cannot be -1"),
        (["--devices", "gpu"], "no device 'gpu'"),
        (["--slurm", "partition"], "no NAME=VALUE"),
        (["--draws", "0"], "0 draws"),
        (["--task", "stress"], "names its systems, data and task itself"),
    ],
)
def test_options_that_make_no_sense(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    arguments = ["evaluate", "--recipe", str(recipe), "--root", str(tmp_path), "-o", str(tmp_path / "out")]
    assert main([*arguments, *more]) == UsageError.exit_code
    assert message in capsys.readouterr().err


def test_nothing_to_evaluate(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate"]) == UsageError.exit_code
    assert "--recipe eegmat-honest" in capsys.readouterr().err


def test_an_output_that_is_in_the_way(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("a file")
    arguments = ["evaluate", "--recipe", str(recipe), "--root", str(tmp_path), "-o", str(tmp_path / "out")]
    assert main(arguments) == UsageError.exit_code
    assert "cannot be made" in capsys.readouterr().err


def test_an_interrupt_says_how_to_go_on(
    recipe: Path,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from edge_ecg_train.evaluation import executors

    calls = []
    compute = executors.compute

    def interrupted(cell: Any) -> Any:
        calls.append(cell.key)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return compute(cell)

    monkeypatch.setattr(executors, "compute", interrupted)
    output = tmp_path / "out"
    wanted = [*command(recipe, root, output), "--seed", "3", "--full"]
    assert main(wanted) == 130
    said = capsys.readouterr()
    assert "Go on with: edge-ecg evaluate" in said.err
    # It would not find the data sets, nor what is computed, with less than all that was said.
    printed = shlex.split(said.err.partition("Go on with: ")[2])
    assert sorted(printed[1:]) == sorted(wanted)
    assert len(list((tmp_path / "cache" / "cells").glob("*.npz"))) == 2
    assert not (output / "card.json").exists()


def test_the_command_to_go_on_with_a_run_names_its_places() -> None:
    from edge_ecg.cli import evaluate, sweep

    parser = argparse.ArgumentParser()
    evaluate.configure(parser)
    parser.add_argument("--json", action="store_true")
    words = ["runs/mine", "stores/my store", "--task", "stress", "--seed", "3", "--write-card"]
    assert shlex.split(sweep.again(parser.parse_args(words))) == ["edge-ecg", "evaluate", *words]
