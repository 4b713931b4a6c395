"""``edge-ecg train`` as a user has it: through the command line's own main."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_ecg.cli import main

FLAGS = ["--device", "cpu", "--threads", "1"]


def pretext(store, run: Path, recipe: Path, *more: str) -> int:
    words = ["train", "pretext", str(store.path), "-o", str(run), "--recipe", str(recipe)]
    return main([*words, *FLAGS, *more])


def test_pretext_then_emotion(tmp_path, store, recipe_file, capsys):
    run = tmp_path / "run"
    assert pretext(store, run, recipe_file, "--json") == 0
    captured = capsys.readouterr()
    (line,) = captured.out.splitlines()
    said = json.loads(line)
    assert said["type"] == "run"
    assert (said["stage"], said["steps"], said["finished"]) == ("pretext", 4, True)
    assert said["preprocessing_hash"] == store.preprocessing_hash
    assert said["datasets"] == [{"name": "made-up", "licence": "none"}]
    assert "people held out: balanced accuracy original" in captured.err
    assert "4/4 steps" in captured.err

    words = ["train", "emotion", str(run), str(store.path), "--recipe", str(recipe_file), *FLAGS]
    assert main([*words, "--json"]) == 0
    lines = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert {one["task"]: one["head"]["kind"] for one in lines} == {"stress": "linear", "level": "mlp"}
    assert sorted(path.name for path in (run / "heads").iterdir()) == ["level.npz", "stress.npz"]

    assert main([*words, "--task", "stress"]) == 0
    captured = capsys.readouterr()
    assert "stress: " in captured.out
    assert "24 rest, 24 stress windows of 6 people" in captured.out
    assert "windows/s" not in captured.err  # the embeddings were there


@pytest.mark.parametrize("verb", ["supervised", "baseline"])
def test_supervised(tmp_path, store, recipe_file, capsys, verb):
    words = ["train", verb, str(store.path), "--recipe", str(recipe_file), *FLAGS]
    assert main([*words, "-o", str(tmp_path / "run")]) == 2
    assert "--task" in capsys.readouterr().err
    assert main([*words, "-o", str(tmp_path / "run"), "--task", "stress"]) == 0
    assert "done, 2 steps on 48 windows of 6 people" in capsys.readouterr().out
    assert (tmp_path / "run" / "heads" / "stress.npz").exists()


def test_time_limit_says_how_to_go_on_and_the_command_works(tmp_path, store, recipe_file, capsys):
    run = tmp_path / "run"
    assert pretext(store, run, recipe_file, "--max-minutes", "0.00001") == 0
    captured = capsys.readouterr()
    assert "not finished, 1 steps" in captured.out
    (line,) = [text for text in captured.err.splitlines() if "Go on with:" in text]
    words = subprocess.run(
        ["sh", "-c", f"for word in {line.split('edge-ecg', 1)[1]}; do echo \"$word\"; done"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert main([*words, *FLAGS]) == 0
    assert "done, 4 steps" in capsys.readouterr().out


def test_the_command_to_go_on_keeps_what_changes_the_weights_and_any_name(
    tmp_path, store, recipe_file, capsys
):
    run = tmp_path / "anna's run; ls"
    more = ("--precision", "fp32", "--max-minutes", "0.00001")
    assert pretext(store, run, recipe_file, *more) == 0
    (line,) = [text for text in capsys.readouterr().err.splitlines() if "Go on with:" in text]
    words = shlex.split(line.partition("Go on with: ")[2])
    assert words[words.index("-o") + 1] == str(run)
    assert words[words.index("--precision") + 1] == "fp32"
    assert main(words[1:]) == 0
    assert json.loads((run / "run.json").read_text())["pretext"]["precision"] == "fp32"


def test_interrupt_saves_and_exits_130(tmp_path, store, recipe_file):
    long = tmp_path / "long.toml"
    settings = ("steps = 100000", "batch_windows = 1", "evaluation_windows = 1", "evaluate_every = 1")
    long.write_text("\n".join(("[pretext]", *settings)))
    run = tmp_path / "run"
    words = ["train", "pretext", str(store.path), "-o", str(run), "--recipe", str(long), *FLAGS]
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_ecg", *words],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stderr is not None
    first = process.stderr.readline()  # the first evaluation: it is training
    assert "step 1, people held out" in first
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 130, first + rest
    assert "stopped and saved. Go on with: edge-ecg train pretext" in rest
    assert "--resume" in rest
    with np.load(run / "encoder.npz") as arrays:
        assert arrays["conv6.weight"].shape == (128, 128, 8)
    assert json.loads((run / "run.json").read_text())["pretext"]["finished"] is False


def test_refusals(tmp_path, store, recipe_file, capsys):
    assert pretext(store, tmp_path / "r", recipe_file, "--precision", "fp8") == 2
    assert main(["train", "pretext", str(tmp_path), "-o", str(tmp_path / "r"), *FLAGS]) == 5
    assert main(["train", "emotion", str(tmp_path), str(store.path), *FLAGS]) == 5
    assert pretext(store, tmp_path / "r", Path("quik")) == 2
    assert main(["train", "pretext", str(store.path), "-o", str(tmp_path / "r"), "--threads", "-1"]) == 2
    assert pretext(store, tmp_path / "r", recipe_file, "--devices", "0") == 2
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    assert pretext(store, tmp_path / "r", empty) == 2
    assert "has no [pretext]" in capsys.readouterr().err
    assert pretext(store, tmp_path / "r", recipe_file) == 0
    assert pretext(store, tmp_path / "r", recipe_file) == 5
    assert "--resume" in capsys.readouterr().err


@pytest.mark.parametrize("minutes", ["0", "-1", "soon"])
def test_senseless_time_limit(tmp_path, store, recipe_file, minutes, capsys):
    with pytest.raises(SystemExit) as caught:
        pretext(store, tmp_path / "r", recipe_file, "--max-minutes", minutes)
    assert caught.value.code == 2
    capsys.readouterr()
