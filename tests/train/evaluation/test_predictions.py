"""Predictions on disk, joined from folds, and averaged over the past."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg.errors import DataError
from edge_ecg_train.evaluation.predictions import Predictions, joined, with_context


def made(
    start_s: list[float], stress: list[float], *, subject: list[str] | None = None, **changes: Any
) -> Predictions:
    """Predictions of one person, one fold and one session, unless something else is said."""
    n = len(start_s)
    p = np.array(stress)
    columns: dict[str, Any] = {
        "subject": np.array(subject or ["a"] * n),
        "session": np.array(["s"] * n),
        "fold": np.array(["a"] * n),
        "start_s": np.array(start_s, np.float64),
        "labels": np.arange(n, dtype=np.int64) % 2,
        "probabilities": np.stack([1.0 - p, p], axis=1),
    }
    facts: dict[str, Any] = {
        "system": "heart rate",
        "protocol": "grouped-7",
        "baseline_s": 0.0,
        "context_s": 0.0,
        "label_fraction": 1.0,
        "seed": 3,
        "task": "stress",
        "names": ("rest", "stress"),
        "config": {"seed": 3, "system": {"c": 0.1}},
        "facts": {"a": {"chosen": "simple"}},
    }
    return Predictions(**{**facts, **columns, **changes})


def sigmoid(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-np.asarray(x)))


def logit(p: Any) -> Any:
    return np.log(np.asarray(p) / (1.0 - np.asarray(p)))


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    one = made([0.0, 5.0, 10.0], [0.1, 0.9, 0.123456789012345], subject=["a", "b", "ü"])
    one.save(tmp_path / "x.npz")
    again = Predictions.load(tmp_path / "x.npz")
    for name in ("subject", "session", "fold", "start_s", "labels", "probabilities"):
        np.testing.assert_array_equal(getattr(again, name), getattr(one, name))
        assert getattr(again, name).dtype == getattr(one, name).dtype
    for name in ("system", "protocol", "baseline_s", "context_s", "label_fraction", "seed", "task", "names"):
        assert getattr(again, name) == getattr(one, name)
    assert again.config == one.config
    assert again.facts == one.facts


@pytest.mark.parametrize("keep", [0, 10, 200, 700])
def test_a_file_cut_short_is_damaged(tmp_path: Path, keep: int) -> None:
    place = tmp_path / "x.npz"
    made([0.0], [0.5]).save(place)
    place.write_bytes(place.read_bytes()[:keep])
    with pytest.raises(DataError, match="damaged"):
        Predictions.load(place)


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    place = tmp_path / "x.npz"
    made([float(i) for i in range(50)], np.random.default_rng(0).random(50).tolist()).save(place)
    whole = place.read_bytes()
    middle = whole.index(b"probabilities.npy") + 80
    place.write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    with pytest.raises(DataError, match="damaged"):
        Predictions.load(place)


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="length"):
        made([0.0, 1.0], [0.1, 0.2], fold=np.array(["a"]))
    with pytest.raises(ValueError, match="one a class"):
        made([0.0], [0.1], probabilities=np.ones((1, 3)))


def test_folds_are_joined_in_order() -> None:
    a, b = (
        made([0.0, 5.0], [0.1, 0.2]),
        made([0.0], [0.3], fold=np.array(["b"]), facts={"b": {"chosen": "x"}}),
    )
    both = joined([b, a])
    assert both.fold.tolist() == ["b", "a", "a"]
    assert both.probabilities[:, 1].tolist() == [0.3, 0.1, 0.2]
    assert set(both.facts) == {"a", "b"}


@pytest.mark.parametrize(
    "change", [{"system": "other"}, {"seed": 4}, {"baseline_s": 60.0}, {"context_s": 30.0}]
)
def test_only_folds_of_one_thing_are_joined(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="same system"):
        joined([made([0.0], [0.1]), made([0.0], [0.1], **change)])
    with pytest.raises(ValueError, match="no predictions"):
        joined([])


def test_a_context_averages_logits_of_the_last_seconds() -> None:
    p = [0.1, 0.3, 0.8, 0.6, 0.9]
    out = with_context(made([0.0, 5.0, 10.0, 30.0, 40.0], p), 10.0)
    x = logit(p)
    expected = [x[0], x[:2].mean(), x[:3].mean(), x[3], x[3:5].mean()]
    np.testing.assert_allclose(out.probabilities[:, 1], sigmoid(expected), atol=1e-12)
    np.testing.assert_allclose(out.probabilities.sum(axis=1), 1.0)
    assert out.context_s == 10.0


def test_a_context_never_crosses_people_or_sessions() -> None:
    p = [0.1, 0.9, 0.2, 0.8]
    out = with_context(
        made([0.0, 1.0, 2.0, 3.0], p, subject=["a", "b", "a", "b"], session=np.array(["1", "1", "2", "1"])),
        60.0,
    )
    expected = [0.1, 0.9, 0.2, sigmoid((logit(0.9) + logit(0.8)) / 2)]
    np.testing.assert_allclose(out.probabilities[:, 1], expected, atol=1e-12)


@given(
    starts=st.lists(st.integers(0, 60), min_size=1, max_size=15, unique=True),
    context_s=st.sampled_from([0.0, 5.0, 12.0, 100.0]),
    seed=st.integers(0, 99),
)
def test_a_context_knows_no_future_and_no_order_of_rows(
    starts: list[int], context_s: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.05, 0.95, len(starts))
    whole = with_context(made([float(s) for s in starts], p.tolist()), context_s).probabilities
    order = rng.permutation(len(starts))
    mixed = with_context(made([float(starts[i]) for i in order], p[order].tolist()), context_s)
    np.testing.assert_allclose(mixed.probabilities, whole[order], atol=1e-12)
    for row, start in enumerate(starts):
        past = [i for i, other in enumerate(starts) if other <= start]
        alone = with_context(made([float(starts[i]) for i in past], p[past].tolist()), context_s)
        np.testing.assert_allclose(alone.probabilities[past.index(row)], whole[row], atol=1e-12)


def test_certainty_does_not_outvote_everything() -> None:
    out = with_context(made([0.0, 1.0], [0.0, 1.0]), 5.0)
    assert np.isfinite(out.probabilities).all()
    assert out.probabilities[1, 1] == pytest.approx(0.5)


def test_three_classes() -> None:
    one = replace(
        made([0.0, 1.0], [0.5, 0.5]),
        names=("a", "b", "c"),
        probabilities=np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]]),
    )
    mean = np.sqrt(one.probabilities[0] * one.probabilities[1])
    np.testing.assert_allclose(with_context(one, 1.0).probabilities[1], mean / mean.sum(), atol=1e-12)


def test_a_context_is_taken_once() -> None:
    once = with_context(made([0.0], [0.5]), 5.0)
    with pytest.raises(ValueError, match="windows alone"):
        with_context(once, 5.0)
    with pytest.raises(ValueError, match="0 seconds or more"):
        with_context(made([0.0], [0.5]), -1.0)
