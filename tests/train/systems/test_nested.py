"""Choices inside the fold: the right one, the simple one when in doubt, and never by what is tested."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ecg_train.evaluation.baseline import PersonalBaseline
from edge_ecg_train.evaluation.data import Rows, TaskData
from edge_ecg_train.evaluation.probes import probe
from edge_ecg_train.systems import make_system
from edge_ecg_train.systems.nested import Measure, Nested

PEOPLE = [f"made/{i}" for i in range(8)]


@dataclass
class Stub:
    """Knows the truth, and says it with a certainty of its own for each person."""

    name: str
    certainty: dict[str, float]
    seen: list[tuple[set[str], set[str]]] = field(default_factory=list)

    def config(self) -> dict[str, Any]:
        return {"stub": self.name}

    def predict(
        self, data: TaskData, train: Rows, test: Rows, baseline: PersonalBaseline | None, seed: int
    ) -> NDArray[np.float64]:
        self.seen.append((set(data.subject[train]), set(data.subject[test])))
        right = np.array([self.certainty[one] for one in data.subject[test]])
        said = np.empty((len(test), 2))
        said[np.arange(len(test)), data.labels[test]] = right
        said[np.arange(len(test)), 1 - data.labels[test]] = 1 - right
        return said


def stub(name: str, *certainty: float) -> Stub:
    return Stub(name, dict(zip(PEOPLE, certainty * (8 // len(certainty)), strict=True)))


def rows_of(data: TaskData, people: list[str]) -> Rows:
    return np.flatnonzero(np.isin(data.subject, people))


@pytest.mark.parametrize(
    ("simple", "complex_", "chosen"),
    [
        (stub("s", 0.6), stub("c", 0.9), 1),
        (stub("s", 0.9), stub("c", 0.6), 0),
        (stub("s", 0.8), stub("c", 0.8), 0),
        # Better on average, but for some people much worse: within one standard error.
        (stub("s", 0.7), stub("c", 0.99, 0.99, 0.4, 0.75), 0),
        # Hardly better, but for everybody.
        (stub("s", 0.70), stub("c", 0.71), 1),
    ],
)
def test_the_simplest_that_is_not_clearly_worse(
    stress_data: TaskData, simple: Stub, complex_: Stub, chosen: int
) -> None:
    nested = Nested((simple, complex_))
    assert nested.choose(stress_data, np.arange(len(stress_data)), None, 0).index == chosen


def test_losses_and_errors_by_hand(stress_data: TaskData) -> None:
    """Everybody has as many windows of each class, so that people's mean losses are averaged."""
    certainty = np.array([0.9, 0.8, 0.7, 0.6])
    choice = Nested((stub("s", 0.7), stub("c", *certainty))).choose(
        stress_data, np.arange(len(stress_data)), None, 0
    )
    each = np.tile(-np.log(certainty), 2)
    np.testing.assert_allclose(choice.losses, [-np.log(0.7), each.mean()])
    difference = -np.log(0.7) - each
    np.testing.assert_allclose(choice.errors, [difference.std(ddof=1) / np.sqrt(8), 0.0], atol=1e-12)


def test_by_the_auc(stress_data: TaskData) -> None:
    chance, sure = stub("s", 0.6, 0.4), stub("c", 0.7)
    choice = Nested((chance, sure), measure="auc").choose(stress_data, np.arange(len(stress_data)), None, 0)
    assert choice.index == 1
    assert choice.losses[1] == 0.0


def test_the_choice_is_made_among_training_people(stress_data: TaskData) -> None:
    simple, complex_ = stub("s", 0.6), stub("c", 0.9)
    train, test = rows_of(stress_data, PEOPLE[:6]), rows_of(stress_data, PEOPLE[6:])
    said = Nested((simple, complex_)).predict(stress_data, train, test, None, 0)
    assert said[np.arange(len(test)), stress_data.labels[test]] == pytest.approx(0.9)
    for trained, tested in (*simple.seen, *complex_.seen[:-1]):
        assert trained | tested == set(PEOPLE[:6])
        assert not trained & tested
    assert complex_.seen[-1] == (set(PEOPLE[:6]), set(PEOPLE[6:]))
    assert len(simple.seen) == 5


@pytest.mark.parametrize("measure", ["log-loss", "auc"])
def test_what_is_tested_has_no_say(stress_data: TaskData, measure: Measure) -> None:
    """Other labels and other windows of the tested change neither the choice nor what it rests on."""
    system = make_system(
        {
            "kind": "nested",
            "measure": measure,
            "candidates": [
                {"kind": "heart", "intervals": ["heart_rate_bpm"]},
                {"kind": "heart"},
            ],
        }
    )
    assert isinstance(system, Nested)
    train, test = rows_of(stress_data, PEOPLE[:6]), rows_of(stress_data, PEOPLE[6:])
    labels, windows = stress_data.labels.copy(), np.array(stress_data.windows)
    labels[test], windows[test] = 1 - labels[test], -3 * windows[test, ::-1]
    changed = replace(stress_data, labels=labels, windows=windows, key="changed", _kept={})
    assert system.choose(changed, train, None, 0) == system.choose(stress_data, train, None, 0)
    assert all(one.passed for one in probe(system, stress_data, baseline_s=30.0))


def test_what_was_chosen_is_told_once_it_is_known(stress_data: TaskData) -> None:
    simple, complex_ = stub("s", 0.6), stub("c", 0.9)
    nested, train = Nested((simple, complex_)), np.arange(len(stress_data))
    nested.predict(stress_data, train, train[:3], None, 0)
    before = len(simple.seen)
    facts = nested.facts(stress_data, train, None, 0)
    assert len(simple.seen) == before
    assert (facts["chosen"], facts["index"]) == ("c", 1)
    assert facts["losses"] == pytest.approx(-np.log([0.6, 0.9]), abs=1e-4)


def test_the_average_of_all_that_are_not_clearly_worse(stress_data: TaskData) -> None:
    """The geometric mean of two sure answers, by hand; the third is clearly worse and has no say."""
    candidates = (stub("bad", 0.51), stub("s", 0.7), stub("c", 0.99, 0.99, 0.4, 0.75))
    nested = Nested(candidates, combine="average")
    train = np.arange(len(stress_data))
    said = nested.predict(stress_data, train, rows_of(stress_data, PEOPLE[:1]), None, 0)
    assert nested.choose(stress_data, train, None, 0).members == (1, 2)
    right, wrong = np.sqrt(0.7 * 0.99), np.sqrt(0.3 * 0.01)
    labels = stress_data.labels[rows_of(stress_data, PEOPLE[:1])]
    np.testing.assert_allclose(said[np.arange(len(said)), labels], right / (right + wrong))


def test_one_person_leaves_nothing_to_choose_by(stress_data: TaskData) -> None:
    nested = Nested((stub("s", 0.1), stub("c", 0.9)))
    assert nested.choose(stress_data, rows_of(stress_data, PEOPLE[:1]), None, 0).index == 0
