"""Pretext training: what it sees, that it learns, and that stopping changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg.errors import DataError, UsageError
from edge_ecg_train.device import Execution, prepare_machine
from edge_ecg_train.embeddings import encoder_sha256, trunk_of
from edge_ecg_train.loop import Session
from edge_ecg_train.networks import PretextNetwork
from edge_ecg_train.pretext import PretextConfig, run_pretext
from edge_ecg_train.pretext_trainer import PretextTrainer, scores
from edge_ecg_train.sampling import batch_rows, people_of, split_people, step_seed
from edge_ecg_train.store import WindowStore
from edge_ecg_train.transforms import VERSIONS

FP32 = Execution(device="cpu", precision="fp32")
TINY = PretextConfig(steps=4, batch_windows=2, versions=2, holdout=0.0, evaluate_every=0)


def encoder(run: Path) -> dict[str, np.ndarray]:
    with np.load(run / "encoder.npz") as arrays:
        return dict(arrays)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_every_epoch_shows_each_window_once():
    rows = np.arange(100, 110)
    seen = np.concatenate([batch_rows(rows, step, 4, seed=3) for step in range(10)])
    epochs = seen.reshape(4, 10)
    assert all(sorted(epoch) == rows.tolist() for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    # A batch larger than an epoch goes on into the next ones.
    assert np.array_equal(batch_rows(rows, 0, 40, seed=3), seen)
    assert not np.array_equal(batch_rows(rows, 0, 40, seed=4), seen)


def test_people_are_held_out_whole():
    subjects = np.repeat([f"p{i}" for i in range(20)], 3)
    training, held_out = split_people(subjects, 0.1, seed=0)
    assert len(training) + len(held_out) == 60
    assert len(set(subjects[held_out])) == 2
    assert not set(subjects[held_out]) & set(subjects[training])
    assert len(split_people(subjects, 0.0, seed=0)[1]) == 0
    assert len(set(subjects[split_people(subjects, 0.001, seed=0)[1]])) == 1
    assert len(set(subjects[split_people(subjects, 0.999, seed=0)[0]])) == 1
    assert len(split_people(subjects[:3], 0.5, seed=0)[1]) == 0  # one person only


@given(st.lists(st.sampled_from(["b", "a", "ab", "c"]), max_size=30))
def test_people_are_numbered_as_by_sorting_all_names(names):
    subjects = np.array(names, dtype="U2")
    people, person = people_of(subjects)
    expected, numbers = np.unique(subjects, return_inverse=True)
    assert people.tolist() == expected.tolist()
    assert person.tolist() == numbers.tolist()


def test_step_seeds_differ():
    seeds = {step_seed(seed, step) for seed in range(5) for step in range(200)}
    assert len(seeds) == 1000
    assert max(seeds) < 2**63


def test_learning_rate_of_steps():
    config = PretextConfig(steps=100, learning_rate=1.0, lr_factor=0.5, lr_every=40)
    assert [config.rate(step) for step in (0, 39, 40, 80)] == [1.0, 1.0, 0.5, 0.25]
    cooled = replace(config, cooldown_steps=10)
    assert cooled.rate(89) == 0.25
    assert cooled.rate(95) == pytest.approx(0.25 * 0.5)
    assert cooled.rate(99) == pytest.approx(0.25 * 0.1)


def test_resumed_run_equals_uninterrupted_one(tmp_path, store):
    config = replace(TINY, holdout=0.2, evaluation_windows=2, evaluate_every=2)
    run_pretext(store.windows, store.subject, config, tmp_path / "whole", execution=FP32)
    times = iter(range(0, 10**6, 61))  # each look at the clock is a minute later
    hasty = Session(max_minutes=2.5, clock=lambda: float(next(times)))
    sessions = 0
    finished = False
    while not finished:
        entry = run_pretext(
            store.windows, store.subject, config, tmp_path / "parts",
            execution=FP32, session=hasty, resume=True,
        )  # fmt: skip
        finished = entry["finished"]
        sessions += 1
    assert sessions > 1
    assert same(encoder(tmp_path / "whole"), encoder(tmp_path / "parts"))
    whole, parts = (
        json.loads((tmp_path / n / "run.json").read_text())["pretext"] for n in ("whole", "parts")
    )
    assert whole["history"] == parts["history"]
    assert len(whole["history"]) == 2


def test_micro_batches_change_nothing_but_rounding(store):
    networks = []
    for size in (3, 100):
        machine = prepare_machine(Execution("cpu", "fp32", micro_batch_signals=size))
        config = replace(TINY, dropout=0.0, versions=7)
        trainer = PretextTrainer(store.windows, np.arange(48), np.arange(0), config, machine)
        trainer.advance()
        networks.append(trainer.network)
    for one, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-3, atol=1e-6)


def test_it_learns(tmp_path, store):
    losses = []
    config = PretextConfig(
        steps=60,
        batch_windows=1,
        versions=7,
        dropout=0.0,
        holdout=0.2,
        evaluation_windows=8,
        evaluate_every=0,
    )
    session = Session(observe=lambda step: losses.append(step.loss))
    entry = run_pretext(
        store.windows, store.subject, config, tmp_path / "run", execution=FP32, session=session
    )
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:5])
    of_people_held_out = entry["history"][-1]["balanced_accuracy"]
    assert of_people_held_out["negate"] > 0.75
    assert np.mean([of_people_held_out[task] for task in ("noise", "negate", "flip", "permute")]) > 0.7
    assert entry["people"] == 5
    assert entry["windows"] == 40
    assert entry["held_out_windows"] == 8


def test_bfloat16_follows_float32(tmp_path, store):
    curves = {}
    for precision in ("fp32", "bf16"):
        curve: list[float] = []
        run_pretext(
            store.windows, store.subject, replace(TINY, steps=3), tmp_path / precision,
            execution=Execution("cpu", precision),
            session=Session(observe=lambda step, curve=curve: curve.append(step.loss)),
        )  # fmt: skip
        curves[precision] = curve
    assert curves["bf16"] == pytest.approx(curves["fp32"], rel=0.03)
    assert encoder(tmp_path / "bf16")["conv1.weight"].dtype == np.float32


def test_scores_against_counting():
    labels = torch.tensor([0, 0, 1, 2, 3, 4, 5, 6])
    logits = torch.full((8, 7), -1.0)
    logits[0, 0] = 1.0  # one of two originals is found
    logits[2, 0] = 1.0  # and one of the six others is taken for one
    measured = scores(logits, labels)
    assert measured["accuracy"]["original"] == pytest.approx(6 / 8)
    assert measured["balanced_accuracy"]["original"] == pytest.approx((1 / 2 + 5 / 6) / 2, abs=1e-4)
    assert measured["accuracy"]["flip"] == pytest.approx(7 / 8)
    assert measured["balanced_accuracy"]["flip"] == 0.5
    assert list(measured["accuracy"]) == list(VERSIONS)


def test_run_json_says_what_was_trained(tmp_path, store):
    run_pretext(store.windows, store.subject, TINY, tmp_path / "r", execution=FP32, facts={"datasets": ["x"]})
    facts = json.loads((tmp_path / "r" / "run.json").read_text())
    assert facts["name"] == "r"
    assert facts["encoder"]["parameters"] == 329_152
    assert facts["pretext"]["config"]["transforms"]["warp_pieces"] == 9
    assert facts["pretext"]["datasets"] == ["x"]
    assert facts["pretext"]["steps"] == 4
    assert facts["pretext"]["finished"] is True
    assert any((tmp_path / "r" / "tensorboard").iterdir())


def test_second_run_in_a_folder_needs_resume(tmp_path, store):
    run_pretext(store.windows, store.subject, TINY, tmp_path / "r", execution=FP32)
    before = encoder(tmp_path / "r")
    with pytest.raises(DataError, match="--resume"):
        run_pretext(store.windows, store.subject, TINY, tmp_path / "r", execution=FP32)
    longer = replace(TINY, steps=5)
    run_pretext(store.windows, store.subject, longer, tmp_path / "r", execution=FP32, resume=True)
    assert not same(before, encoder(tmp_path / "r"))


def test_resume_refuses_another_experiment(tmp_path, store):
    run_pretext(store.windows, store.subject, TINY, tmp_path / "r", execution=FP32)
    changed = replace(TINY, batch_windows=3)
    with pytest.raises(DataError, match="batch_windows was 2, is 3"):
        run_pretext(store.windows, store.subject, changed, tmp_path / "r", execution=FP32, resume=True)
    with pytest.raises(DataError, match="other windows"):
        run_pretext(store.windows[:40], store.subject[:40], TINY, tmp_path / "r", execution=FP32, resume=True)


def test_resume_refuses_windows_that_were_prepared_in_another_way(tmp_path, store):
    # As many windows of the same people, of another scale.
    def train(kind: str, **how: bool) -> None:
        facts = {"preprocessing": {"normalisation": kind}}
        run_pretext(store.windows, store.subject, TINY, tmp_path / "r", execution=FP32, facts=facts, **how)

    train("calibrated")
    with pytest.raises(DataError, match=r"in another way.*'calibrated'.*'recording'"):
        train("recording", resume=True)
    train("calibrated", resume=True)


@pytest.mark.parametrize("damage", [b"", b"no checkpoint", None])
def test_damaged_checkpoint_is_refused(tmp_path, store, damage):
    run_pretext(store.windows, store.subject, TINY, tmp_path / "r", execution=FP32)
    place = tmp_path / "r" / "checkpoint.pt"
    place.write_bytes(place.read_bytes()[:5000] if damage is None else damage)
    with pytest.raises(DataError, match="cannot be read"):
        run_pretext(store.windows, store.subject, TINY, tmp_path / "r", execution=FP32, resume=True)


@pytest.mark.parametrize("state", [[1], {"config": {}}])
def test_a_checkpoint_without_its_parts_is_refused(tmp_path, store, state):
    run_pretext(store.windows, store.subject, TINY, tmp_path / "r", execution=FP32)
    torch.save(state, tmp_path / "r" / "checkpoint.pt")
    with pytest.raises(DataError, match="of another version"):
        run_pretext(store.windows, store.subject, TINY, tmp_path / "r", execution=FP32, resume=True)


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"steps": 0}, UsageError), ({"versions": 8}, UsageError), ({"holdout": 1.0}, UsageError)],
)
def test_senseless_settings_are_refused(tmp_path, store: WindowStore, changes, error):
    with pytest.raises(error):
        run_pretext(store.windows, store.subject, replace(TINY, **changes), tmp_path / "r", execution=FP32)
    assert not (tmp_path / "r").exists()


def test_wrong_windows_are_refused(tmp_path, store):
    with pytest.raises(DataError, match="2560"):
        run_pretext(store.windows[:, :2000], store.subject, TINY, tmp_path / "r")
    with pytest.raises(DataError, match="subject names"):
        run_pretext(store.windows, store.subject[:-1], TINY, tmp_path / "r")
    with pytest.raises(DataError, match="too few"):
        run_pretext(store.windows[:1], store.subject[:1], TINY, tmp_path / "r")


def test_dropout_is_off_when_evaluating(store):
    machine = prepare_machine(FP32)
    trainer = PretextTrainer(store.windows, np.arange(40), np.arange(40, 48), TINY, machine)
    first, second = trainer.evaluate(), trainer.evaluate()
    assert first == second
    assert isinstance(trainer.network, PretextNetwork)
    assert not trainer.network.training


# PyTorch warns of itself when it traces an autograd function.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_a_compiled_step_is_the_same_step(tmp_path, store, monkeypatch):
    whole = replace(TINY, versions=7, batch_windows=1)
    run_pretext(store.windows, store.subject, whole, tmp_path / "plain", execution=FP32)
    half = replace(whole, steps=2)
    run_pretext(store.windows, store.subject, half, tmp_path / "compiled", execution=FP32)

    compiled: list[object] = []
    really_compile = torch.compile

    def without_code(what, *, backend):
        """Trace as ever, but run the traced operations by the interpreter."""
        assert backend == "inductor"
        compiled.append(what)
        return really_compile(what, backend="eager")

    monkeypatch.setattr(torch, "compile", without_code)
    execution = replace(FP32, compile=True)
    entry = run_pretext(
        store.windows, store.subject, whole, tmp_path / "compiled", execution=execution, resume=True
    )
    assert isinstance(compiled[-1], PretextNetwork)
    assert (entry["compiled"], entry["steps"]) == (True, 4)
    assert same(encoder(tmp_path / "plain"), encoder(tmp_path / "compiled"))


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("g++") is None, reason="torch.compile needs a C++ compiler (apt install g++)"
)
def test_compiled_bfloat16_learns_as_uncompiled(tmp_path, store):
    """Not to the bit: the compiler rounds less often. Once it gave gradients that were no numbers.

    In processes of their own, because PyTorch's compiler warns of its own parts.
    """
    recipe = tmp_path / "small.toml"
    lines = ("[pretext]", "steps = 4", "batch_windows = 2", "versions = 2", "holdout = 0.2", "dropout = 0.0")
    recipe.write_text("\n".join((*lines, "evaluate_every = 1\n")))
    losses = []
    for flags in ([], ["--compile"]):
        run = tmp_path / f"run{len(flags)}"
        words = ["train", "pretext", str(store.path), "-o", str(run), "--recipe", str(recipe)]
        words += ["--device", "cpu", "--precision", "bf16", "--threads", "1", *flags]
        subprocess.run([sys.executable, "-m", "edge_ecg", *words], capture_output=True, check=True)
        history = json.loads((run / "run.json").read_text())["pretext"]["history"]
        losses.append([one["loss"] for one in history])
    assert len(losses[0]) == 4
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.02)


def test_a_training_that_diverges_says_so(tmp_path, store):
    with pytest.raises(DataError, match="diverged: at step"):
        run_pretext(store.windows, store.subject, replace(TINY, learning_rate=1e30), tmp_path, execution=FP32)


def test_encoders_on_the_way_are_kept(tmp_path, store):
    kept = replace(TINY, keep_steps=(2,))
    run_pretext(store.windows, store.subject, kept, tmp_path / "kept", execution=FP32)
    run_pretext(store.windows, store.subject, replace(TINY, steps=2), tmp_path / "two", execution=FP32)
    run = {"run": str(tmp_path / "kept")}
    two = trunk_of({"run": str(tmp_path / "two")}).state_dict()
    for name, values in trunk_of({**run, "step": 2}).state_dict().items():
        assert torch.equal(values, two[name])
    assert encoder_sha256({**run, "step": 2}) != encoder_sha256(run)


@pytest.mark.slow
def test_without_a_compiler_the_user_is_told_so(tmp_path, store):
    words = ["train", "pretext", str(store.path), "-o", str(tmp_path / "run"), "--device", "cpu", "--compile"]
    refused = subprocess.run(
        [sys.executable, "-m", "edge_ecg", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CXX": "no-such-compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")},
    )
    assert refused.returncode == 2, refused.stderr
    assert "cannot be compiled for cpu" in refused.stderr
    assert "apt install g++" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "run").exists()
