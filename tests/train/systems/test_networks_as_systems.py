"""Networks as systems: frozen, joined with intervals, and trained end to end, on a few windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_ecg.errors import UsageError
from edge_ecg_train.baselines import LogisticModel
from edge_ecg_train.device import Execution, prepare_machine
from edge_ecg_train.embeddings import embed, task_embeddings, trunk_of
from edge_ecg_train.evaluation.baseline import PersonalBaseline
from edge_ecg_train.evaluation.data import Rows, TaskData
from edge_ecg_train.heads import HeadConfig, fit_head
from edge_ecg_train.networks import Trunk, TrunkShape
from edge_ecg_train.supervised import SupervisedConfig, fit_supervised
from edge_ecg_train.systems import make_system
from edge_ecg_train.systems.hybrid import Hybrid
from edge_ecg_train.systems.intervals import intervals_of, personal_intervals_of

ENCODER = {"random": 0, "pooling": "max-mean-std"}
TRAINING = {"epochs": 1, "hidden": [4], "batch_windows": 4}
FP32 = Execution(precision="fp32")


@pytest.fixture(scope="module")
def few(stress_data: TaskData) -> TaskData:
    """Four people, three windows at rest (one is baseline) and two under stress."""
    wanted = np.isin(stress_data.start_s, [0.0, 30.0, 45.0]) | (
        (stress_data.labels == 1) & (stress_data.start_s == 15.0)
    )
    rows = np.flatnonzero(wanted & np.isin(stress_data.subject, [f"made/{i}" for i in range(4)]))
    columns = {name: getattr(stress_data, name)[rows] for name in ("labels", "subject", "session", "dataset")}
    return replace(
        stress_data,
        windows=np.array(stress_data.windows[rows]),
        start_s=stress_data.start_s[rows],
        key=f"{stress_data.key} few",
        _kept={},
        **columns,
    )


def sides(data: TaskData, baseline: PersonalBaseline | None) -> tuple[Rows, Rows]:
    rows = np.arange(len(data)) if baseline is None else np.flatnonzero(baseline.scored)
    tested = data.subject[rows] == "made/3"
    return rows[~tested], rows[tested]


@pytest.mark.parametrize("baseline_s", [0.0, 15.0])
def test_frozen_and_hybrid(few: TaskData, baseline_s: float) -> None:
    baseline = PersonalBaseline.of(few, baseline_s) if baseline_s else None
    train, test = sides(few, baseline)
    embeddings = task_embeddings(few, ENCODER).astype(np.float64)
    if baseline is not None:
        embeddings = baseline.apply(embeddings)
    head = fit_head(embeddings[train], few.labels[train], HeadConfig(c=0.1))
    frozen = make_system({"kind": "encoder", "encoder": ENCODER, "head": {"c": 0.1}})
    np.testing.assert_allclose(
        frozen.predict(few, train, test, baseline, 0), head.probabilities(embeddings[test]), atol=1e-6
    )
    hybrid = make_system({"kind": "hybrid", "encoder": ENCODER})
    assert isinstance(hybrid, Hybrid)
    features = (
        intervals_of(few, hybrid.head.intervals)
        if baseline is None
        else personal_intervals_of(few, baseline, hybrid.head.personal)
    )
    inputs = np.hstack([embeddings, features])
    np.testing.assert_allclose(
        hybrid.predict(few, train, test, baseline, 0),
        hybrid.as_head(few, train, baseline).probabilities(inputs[test]),
        atol=1e-6,
    )


def test_the_seed_is_the_evaluations(few: TaskData) -> None:
    system = make_system(
        {"kind": "encoder", "encoder": ENCODER, "head": {"kind": "mlp", "hidden": [4], "epochs": 2}}
    )
    train, test = sides(few, None)
    first, again, other = (system.predict(few, train, test, None, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-6


def test_end_to_end_with_a_baseline(few: TaskData) -> None:
    """The score is the logit above the median of the person's own at rest."""
    baseline = PersonalBaseline.of(few, 15.0)
    train, test = sides(few, baseline)
    system = make_system({"kind": "end-to-end", "training": TRAINING})
    config = SupervisedConfig(epochs=1, hidden=(4,), batch_windows=4, seed=5)
    machine = prepare_machine(FP32)
    trainer = fit_supervised(few.windows, few.labels, train, 2, config, machine)
    logits = trainer.network.numpy_head().logits(embed(trainer.network.trunk, few.windows, machine))
    above = baseline.apply(logits)
    expected = LogisticModel(above[train], few.labels[train], 2).probabilities(above[test])
    np.testing.assert_allclose(system.predict(few, train, test, baseline, 5), expected, atol=1e-5)
    alone = system.predict(few, train, test, None, 5)
    np.testing.assert_allclose(alone, trainer.probabilities(few.windows[test]), atol=1e-5)


def test_fine_tuning_starts_from_the_encoder(few: TaskData) -> None:
    """With a rate of almost nothing the trunk stays what it was."""
    train = np.flatnonzero(few.subject == "made/0")
    init = trunk_of(ENCODER)
    assert isinstance(init, Trunk)
    machine = prepare_machine(FP32)
    config = SupervisedConfig(
        epochs=1, hidden=(4,), batch_windows=16, learning_rate=1e-9, trunk=init.shape, seed=3
    )
    tuned, fresh = (
        fit_supervised(few.windows, few.labels, train, 2, config, machine, start).network.trunk
        for start in (init, None)
    )
    mine, theirs, others = (one.layers[2].weight.detach().cpu().numpy() for one in (init, tuned, fresh))
    np.testing.assert_allclose(theirs, mine, atol=1e-6)
    assert np.abs(others - mine).max() > 1e-3
    other_shape = replace(config, trunk=TrunkShape("valid"))
    with pytest.raises(UsageError, match="shape"):
        fit_supervised(few.windows, few.labels, train, 2, other_shape, machine, init)
