"""Training by two real processes that PyTorch's launcher starts, against one."""

from __future__ import annotations

import json
import os
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
evaluate_every = 0
seed = 5
[pretext.trunk]
padding = "valid"
pooling = "max-mean-std"
"""


def train(store: WindowStore, run: Path, steps: int, *options: str) -> subprocess.CompletedProcess[str]:
    recipe = run.with_suffix(".toml")
    recipe.write_text(RECIPE.format(steps=steps))
    command = [sys.executable, "-m", "edge_ecg", "train", "pretext", str(store.path), "-o", str(run)]
    command += ["--recipe", str(recipe), "--device", "cpu", "--precision", "fp32", "--threads", "1"]
    return subprocess.run(
        [*command, "--json", *options],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"},
    )


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
