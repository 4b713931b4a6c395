"""Masked pretraining: what is masked, what the loss sees, that it learns, that stopping changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from edge_ecg.errors import DataError, UsageError
from edge_ecg_train.checkpoint import load_encoder
from edge_ecg_train.device import Execution, prepare_machine
from edge_ecg_train.loop import Session
from edge_ecg_train.sampling import step_seed
from edge_ecg_train.transformer.encoder_file import (
    is_transformer,
    load_transformer,
    save_transformer,
)
from edge_ecg_train.transformer.masked import MaskedConfig, run_masked
from edge_ecg_train.transformer.masked_trainer import MaskedTrainer
from edge_ecg_train.transformer.masks import draw_masks, interpolated
from edge_ecg_train.transformer.network import SAMPLES, TransformerNetwork

FP32 = Execution("cpu", "fp32", 1)


@pytest.fixture
def config(tiny):
    return MaskedConfig(
        steps=6,
        warmup_steps=2,
        batch_windows=3,
        head_hidden=8,
        holdout=0.25,
        evaluation_windows=4,
        evaluate_every=3,
        network=tiny,
    )


def trainer_of(beats, config, cpu) -> MaskedTrainer:
    return MaskedTrainer(beats.windows, np.arange(18), np.arange(18, 24), config, cpu)


def test_the_share_of_masked_samples_is_the_paper_s():
    config = MaskedConfig(steps=1)
    assert config.masked_share() == pytest.approx(0.484, abs=5e-4)
    masks = draw_masks(4000, 0.0325, 20, torch.Generator().manual_seed(0)).float()
    assert masks.shape == (4000, SAMPLES)
    # Standard deviation of a window's share about 0.05, of the mean of 4000 about 0.001.
    assert float(masks.mean()) == pytest.approx(config.masked_share(), abs=0.004)
    # Every sample alike, the window's first and last ones too.
    assert float(masks[:, 0].mean()) == pytest.approx(config.masked_share(), abs=0.04)
    assert float(masks[:, :20].mean()) == pytest.approx(float(masks[:, -20:].mean()), abs=0.03)


def test_masked_stretches_are_spans():
    masks = draw_masks(200, 0.01, 20, torch.Generator().manual_seed(1)).numpy().astype(int)
    edges = np.diff(masks[:, 1:-1], axis=1)
    lengths = []
    for row in edges:
        begins, ends = np.flatnonzero(row == 1), np.flatnonzero(row == -1)
        if len(begins) and len(ends):
            ends = ends[ends > begins[0]]
            lengths += (ends - begins[: len(ends)]).tolist()
    assert min(lengths) == 20
    assert np.mean(np.array(lengths) == 20) > 0.5


def test_only_masked_samples_count(beats, config, cpu):
    """The gradient of the loss with respect to what the network draws is zero where nothing is masked."""
    trainer = trainer_of(beats, config, cpu)
    ecg, mask = trainer._batch(np.arange(3), 0)
    drawn = []

    def keep(module, given, out):
        out.retain_grad()
        drawn.append(out)

    trainer.network.register_forward_hook(keep)
    trainer._squared_error(ecg, mask).backward()
    gradient = drawn[0].grad
    assert torch.all(gradient[~mask] == 0)
    assert torch.allclose(gradient[mask], 2 * (drawn[0] - ecg)[mask])
    assert 0 < int(mask.sum()) < mask.numel()


def test_what_is_masked_is_hidden(beats, config, cpu):
    """No change of a masked sample may reach the network's input."""
    trainer = trainer_of(beats, replace(config, network=replace(config.network, dropout=0.0)), cpu)
    ecg, mask = trainer._batch(np.arange(3), 0)
    seen = []
    trainer.network.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    trainer._squared_error(ecg, mask)
    trainer._squared_error(torch.where(mask, ecg + 5, ecg), mask)
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0][~mask], ecg[~mask])
    assert torch.all(seen[0][mask] == 0)


def test_masks_depend_on_seed_and_step_alone(beats, config, cpu):
    one, other = (trainer_of(beats, config, cpu) for _ in range(2))
    other.advance()
    assert torch.equal(one._batch(np.arange(3), 5)[1], other._batch(np.arange(3), 5)[1])
    assert not torch.equal(one._batch(np.arange(3), 5)[1], one._batch(np.arange(3), 6)[1])
    changed = trainer_of(beats, replace(config, seed=1), cpu)
    assert not torch.equal(one._batch(np.arange(3), 5)[1], changed._batch(np.arange(3), 5)[1])
    assert step_seed(0, 5) != step_seed(1, 5)


def test_rate_rises_and_falls():
    config = MaskedConfig(steps=100, warmup_steps=10, learning_rate=1.0)
    assert [config.rate(step) for step in (0, 4, 9, 10, 55, 99)] == pytest.approx(
        [0.1, 0.5, 1, 1, 0.5, 1 / 90]
    )
    assert MaskedConfig(steps=4, learning_rate=1.0).rate(0) == 1.0


def test_micro_batches_change_nothing_but_rounding(beats, config):
    gradients = []
    for size in (1, 100):
        machine = prepare_machine(Execution("cpu", "fp32", 1, micro_batch_signals=size))
        quiet = replace(config, network=replace(config.network, dropout=0.0))
        trainer = trainer_of(beats, quiet, machine)
        trainer.advance()
        gradients.append([one.grad for one in trainer.network.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.allclose(one, other, rtol=1e-3, atol=1e-6)


def test_resumed_run_equals_uninterrupted_one(tmp_path, beats, config):
    run_masked(beats.windows, beats.subject, config, tmp_path / "whole", execution=FP32)
    times = iter(range(0, 10**6, 61))  # each look at the clock is a minute later
    hasty = Session(max_minutes=2.5, clock=lambda: float(next(times)))
    sessions, finished = 0, False
    while not finished:
        entry = run_masked(
            beats.windows, beats.subject, config, tmp_path / "parts",
            execution=FP32, session=hasty, resume=True,
        )  # fmt: skip
        finished, sessions = entry["finished"], sessions + 1
    assert sessions > 1
    whole, parts = (load_transformer(tmp_path / name / "encoder.npz") for name in ("whole", "parts"))
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.equal(one, other)
    told = [json.loads((tmp_path / n / "run.json").read_text()) for n in ("whole", "parts")]
    assert told[0]["pretext"]["history"] == told[1]["pretext"]["history"]
    assert len(told[0]["pretext"]["history"]) == 2
    assert told[0]["encoder"]["architecture"] == "transformer"
    assert told[0]["encoder"]["embedding"] == 16
    with pytest.raises(DataError, match="already holds"):
        run_masked(beats.windows, beats.subject, config, tmp_path / "whole", execution=FP32)
    with pytest.raises(DataError, match="other settings"):
        run_masked(
            beats.windows, beats.subject, replace(config, span_samples=5), tmp_path / "whole",
            execution=FP32, resume=True,
        )  # fmt: skip
    with pytest.raises(DataError, match="other windows"):
        run_masked(
            beats.windows[1:23], beats.subject[1:23], config, tmp_path / "whole", execution=FP32, resume=True
        )


def test_it_learns_to_draw_beats(tmp_path, beats, tiny):
    config = MaskedConfig(
        steps=60, warmup_steps=5, batch_windows=6, learning_rate=5e-3, weight_decay=0.0, head_hidden=32,
        span_samples=5, holdout=0.25, evaluate_every=0, network=replace(tiny, dropout=0.0),
    )  # fmt: skip
    losses: list[float] = []
    session = Session(observe=lambda step: losses.append(step.loss))
    entry = run_masked(
        beats.windows, beats.subject, config, tmp_path / "run", execution=FP32, session=session
    )
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:10])
    assert entry["history"][-1]["explained"] > 0.3  # of a person held out


def test_straight_lines():
    ecg = np.array([[0.0, 9, 9, 3, 9], [1, 2, 3, 4, 5]], np.float32)
    masks = np.array([[False, True, True, False, True], [True] * 5])
    assert interpolated(ecg, masks).tolist() == [[0, 1, 2, 3, 3], [1, 2, 3, 4, 5]]
    assert ecg[0, 1] == 9


def test_encoder_file(tmp_path, tiny):
    path = tmp_path / "encoder.npz"
    network = TransformerNetwork(replace(tiny, pooling="mean-std")).eval()
    save_transformer(path, network)
    read = load_transformer(path)
    assert read.shape == network.config
    windows = torch.randn(2, 2560)
    with torch.inference_mode():
        assert torch.equal(read(windows), network(windows))
    with np.load(path, allow_pickle=False) as arrays:  # plain arrays
        assert arrays["convs.0.conv.weight"].dtype == np.float32
    with pytest.raises(DataError):
        load_encoder(path)


def test_damaged_encoder_files(tmp_path, tiny):
    path = tmp_path / "encoder.npz"
    with pytest.raises(DataError, match="There is no encoder"):
        load_transformer(path)
    assert not is_transformer(path)
    save_transformer(path, TransformerNetwork(tiny))
    with np.load(path) as arrays:
        kept = dict(arrays)
    for change in (
        {"config": np.array("{")},
        {"config": np.array('{"layers": 0}')},
        {"config": np.array('{"depth": 3}')},
        {"cls": np.zeros(3, np.float32)},
        {"architecture": np.array("other")},
    ):
        np.savez(path, **{**kept, **change})
        with pytest.raises(DataError, match="not a Transformer encoder"):
            load_transformer(path)
    path.write_bytes(path.read_bytes()[:300])
    assert not is_transformer(path)
    with pytest.raises(DataError):
        load_transformer(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"warmup_steps": 7},
        {"batch_windows": 0},
        {"span_probability": 0.0},
        {"span_samples": SAMPLES + 1},
        {"holdout": 1.0},
    ],
)
def test_senseless_settings(tmp_path, beats, config, wrong):
    with pytest.raises(UsageError):
        run_masked(beats.windows, beats.subject, replace(config, **wrong), tmp_path, execution=FP32)


def test_windows_of_another_shape(tmp_path, beats, config):
    with pytest.raises(DataError):
        run_masked(beats.windows[:, :1280], beats.subject, config, tmp_path, execution=FP32)
    with pytest.raises(DataError):
        run_masked(beats.windows, beats.subject[:3], config, tmp_path, execution=FP32)
    with pytest.raises(DataError, match="too few"):
        run_masked(beats.windows[:1], beats.subject[:1], config, tmp_path, execution=FP32)
