"""Training by two real processes that PyTorch's launcher starts, against one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_ecg.errors import UsageError
from edge_ecg_train.device import Execution
from edge_ecg_train.pretext import PretextConfig, run_pretext
from edge_ecg_train.store import WindowStore
from edge_ecg_train.team import ALONE, Team, join_team

RECIPE = """
[pretext]
steps = {steps}
batch_windows = 4
versions = 3
shards = 2
holdout = 0.2
evaluation_windows = 2
evaluate_every = {evaluate_every}
seed = 5
[pretext.trunk]
padding = "valid"
pooling = "max-mean-std"
"""


def start(
    store: WindowStore, run: Path, steps: int, *options: str, evaluate_every: int = 0
) -> subprocess.Popen[str]:
    recipe = run.with_suffix(".toml")
    recipe.write_text(RECIPE.format(steps=steps, evaluate_every=evaluate_every))
    command = [sys.executable, "-m", "edge_ecg", "train", "pretext", str(store.path), "-o", str(run)]
    command += ["--recipe", str(recipe), "--device", "cpu", "--precision", "fp32", "--threads", "1"]
    return subprocess.Popen(
        [*command, "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def train(store: WindowStore, run: Path, steps: int, *options: str) -> subprocess.CompletedProcess[str]:
    process = start(store, run, steps, *options)
    out, err = process.communicate(timeout=280)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def encoder(run: Path) -> dict[str, np.ndarray]:
    with np.load(run / "encoder.npz") as arrays:
        return {name: arrays[name] for name in arrays.files if name.startswith("conv")}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_learn_what_one_does_and_go_on_from_its_checkpoint(tmp_path, store):
    alone = train(store, tmp_path / "alone", 4)
    assert alone.returncode == 0, alone.stderr
    both = train(store, tmp_path / "both", 4, "--devices", "2")
    assert both.returncode == 0, both.stderr
    # One process writes one line, whatever the other has to say.
    (line,) = both.stdout.splitlines()
    entry = json.loads(line)
    assert (entry["processes"], entry["steps"], entry["finished"]) == (2, 4, True)

    half = train(store, tmp_path / "resumed", 2)
    assert half.returncode == 0, half.stderr
    resumed = train(store, tmp_path / "resumed", 4, "--devices", "2", "--resume")
    assert resumed.returncode == 0, resumed.stderr

    expected = encoder(tmp_path / "alone")
    for run in ("both", "resumed"):
        for name, array in encoder(tmp_path / run).items():
            # Adam divides by the magnitude: the order of sums shows where a gradient is all rounding.
            assert np.allclose(array, expected[name], rtol=0, atol=2e-5), (run, name)
    moved = max(np.abs(expected[name] - array).max() for name, array in encoder_before(store).items())
    assert moved > 1e-3


@pytest.mark.slow
def test_ctrl_c_stops_both_at_one_step_and_leaves_a_checkpoint(tmp_path, store):
    run = tmp_path / "run"
    process = start(store, run, 100_000, "--devices", "2", evaluate_every=1)
    assert process.stderr is not None
    before = []
    for line in process.stderr:  # until the first evaluation: both have made a step
        before.append(line)
        if line.startswith("step 1, people held out"):
            break
    process.send_signal(signal.SIGINT)
    # Both write to this pipe, so it ends when both have.
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, "".join(before) + err
    assert err.count("stopped and saved. Go on with: edge-ecg train pretext") == 1
    assert "Traceback" not in err
    assert out == ""
    entry = json.loads((run / "run.json").read_text())["pretext"]
    assert (entry["finished"], entry["processes"]) == (False, 2)

    # One process goes on from there.
    resumed = train(store, run, entry["steps"] + 1, "--resume")
    assert json.loads(resumed.stdout)["steps"] == entry["steps"] + 1


@pytest.mark.slow
def test_what_the_leader_refuses_is_said_once_and_ends_all(tmp_path, store):
    run = tmp_path / "run"
    run.mkdir()
    (run / "checkpoint.pt").touch()
    refused = train(store, run, 2, "--devices", "2")
    assert refused.returncode == 5, refused.stderr
    assert refused.stderr.count("already holds a training run") == 1
    assert "Traceback" not in refused.stderr


def encoder_before(store: WindowStore) -> dict[str, np.ndarray]:
    """The weights of the seed, before the first step."""
    import torch

    from edge_ecg_train.networks import PretextNetwork, TrunkShape

    torch.manual_seed(5)
    trunk = PretextNetwork(0.6, TrunkShape("valid", "max-mean-std")).trunk
    return {f"conv{i}.weight": one.weight.detach().numpy() for i, one in enumerate(trunk.layers, start=1)}


def test_processes_must_divide_the_batch(tmp_path, store):
    config = PretextConfig(steps=1, batch_windows=4, shards=2)
    with pytest.raises(UsageError, match="cannot be shared by 3 process"):
        run_pretext(store.windows, store.subject, config, tmp_path, team=Team(rank=0, size=3))
    with pytest.raises(UsageError, match="cannot be shared by 1 process"):
        run_pretext(store.windows, store.subject, PretextConfig(steps=1, batch_windows=4, shards=3), tmp_path)


def test_without_a_launcher_there_is_one_process():
    execution = Execution("cpu", "fp32")
    with join_team(execution, {}) as (team, mine):
        assert team is ALONE
        assert mine is execution
    assert team.leads
    assert team.any(True)
    assert not team.any(False)


def test_shards_draw_different_randomness(store, tmp_path):
    def learn(shards: int) -> float:
        config = PretextConfig(
            steps=2, batch_windows=4, versions=2, holdout=0.0, evaluate_every=0, shards=shards
        )
        run_pretext(
            store.windows, store.subject, config, tmp_path / str(shards), execution=Execution("cpu", "fp32")
        )
        return float(encoder(tmp_path / str(shards))["conv1.weight"].sum())

    assert learn(1) != learn(2)
