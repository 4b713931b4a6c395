"""Fine-tuning: the whole network learns, from the given weights, alike for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from edge_ecg.errors import DataError, UsageError
from edge_ecg_train.transformer.encoder_file import encoder_state
from edge_ecg_train.transformer.finetune import FinetuneConfig, FinetuneTrainer, finetune
from edge_ecg_train.transformer.network import TransformerNetwork

SMALL = FinetuneConfig(epochs=2, batch_windows=8, learning_rate=3e-3, hidden=(8,), dropout=0.0)


def trainer_of(beats, config, tiny, cpu, *, seed=0, state=None, classes=2, labels=None) -> FinetuneTrainer:
    labels = beats.labels if labels is None else labels
    return FinetuneTrainer(
        beats.windows, labels, np.arange(18), np.arange(18, 24), classes, config, tiny, state, cpu, seed
    )


def test_the_paper_s_head_and_rate(beats, tiny, cpu):
    trainer = trainer_of(beats, replace(FinetuneConfig(), batch_windows=6), tiny, cpu)
    widths = [layer.weight.shape for layer in trainer.network.head if hasattr(layer, "weight")]
    assert widths == [(1024, 16), (512, 1024), (1, 512)]
    assert [layer.p for layer in trainer.network.head if isinstance(layer, torch.nn.Dropout)] == [0.3, 0.3]
    assert trainer.steps == 300  # 100 epochs of 18 windows, 6 at once
    rates = [trainer.rate(step) for step in (0, 3 * 45 - 1, 3 * 45, 3 * 90)]
    assert rates == pytest.approx([1e-4, 1e-4, 0.65e-4, 0.65**2 * 1e-4])
    assert trainer.network.trunk.config.pooling == "cls"


def test_it_learns_on_the_whole_network(beats, tiny, cpu):
    config = replace(SMALL, epochs=25, hidden=(16,), pooling="mean")
    start = TransformerNetwork(tiny)
    model = finetune(
        beats.windows[:18], beats.labels[:18], config, encoder_state(start), cpu, 0, network=tiny
    )
    of_a_person_left_out = model.probabilities(beats.windows[18:])
    assert of_a_person_left_out.shape == (6, 2)
    assert (of_a_person_left_out.argmax(1) == beats.labels[18:]).mean() >= 5 / 6
    moved = {
        name: not torch.equal(value, dict(start.named_parameters())[name])
        for name, value in model.encoder.named_parameters()
    }
    assert all(moved.values())


def test_it_starts_where_pretraining_ended(beats, tiny, cpu):
    torch.manual_seed(5)
    start = TransformerNetwork(tiny)
    state = encoder_state(start)
    trainer = trainer_of(beats, SMALL, tiny, cpu, state=state)
    for name, value in trainer.network.trunk.named_parameters():
        assert torch.equal(value, state[name])
    trainer.advance()
    # The pretrained network itself is left as it was.
    for name, value in start.named_parameters():
        assert torch.equal(value, state[name])


def test_same_seed_same_model_and_resumed_equals_whole(beats, tiny, cpu):
    config = replace(SMALL, dropout=0.3)
    whole = trainer_of(beats, config, tiny, cpu)
    again = trainer_of(beats, config, tiny, cpu)
    for _ in range(4):
        whole.advance()
    for _ in range(2):
        again.advance()
    resumed = trainer_of(beats, config, tiny, cpu)
    resumed.restore(again.state())
    for _ in range(2):
        resumed.advance()
    for one, other in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(DataError, match="other settings"):
        trainer_of(beats, config, tiny, cpu, seed=1).restore(again.state())


def test_more_than_two_classes(beats, tiny, cpu):
    labels = np.arange(24) % 3
    trainer = trainer_of(beats, SMALL, tiny, cpu, classes=3, labels=labels)
    trainer.advance()
    probabilities = trainer.probabilities(beats.windows[:4])
    assert probabilities.shape == (4, 3)
    assert probabilities.sum(1) == pytest.approx(np.ones(4), abs=1e-5)
    # The numpy head says what the network says.
    trainer.network.eval()
    with torch.inference_mode():
        logits = trainer.network(torch.from_numpy(beats.windows[:4]))
    assert probabilities == pytest.approx(torch.softmax(logits, 1).numpy(), abs=1e-4)


def test_refusals(beats, tiny, cpu):
    with pytest.raises(DataError, match="two classes"):
        finetune(beats.windows, np.zeros(24, np.int64), SMALL, None, cpu, 0, network=tiny)
    for wrong in ({"epochs": 0}, {"batch_windows": 0}, {"dropout": 1.0}, {"lr_every_epochs": 0}):
        with pytest.raises(UsageError):
            finetune(beats.windows, beats.labels, replace(SMALL, **wrong), None, cpu, 0, network=tiny)
