"""The card says what was measured, on whom, and what not to believe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ecg_train.baselines import LogisticModel
from edge_ecg_train.card import cell, make_card, markdown, warnings_of
from edge_ecg_train.datasets import DATASETS
from edge_ecg_train.evaluate import Evaluation, Evaluator
from edge_ecg_train.prepare import Preparation, prepare
from edge_ecg_train.store import WindowStore


@pytest.fixture
def evaluated(fake_data: Any, tmp_path: Path) -> tuple[Evaluation, WindowStore]:
    root = fake_data.eegmat(people=4, rest_s=75.0)
    store = prepare([(DATASETS["eegmat"], root)], tmp_path / "store", Preparation(hop_s=5))
    embeddings = np.random.default_rng(0).standard_normal((len(store), 8)).astype(np.float32)
    evaluator = Evaluator(store, "stress", embeddings, lambda x, y, _: LogisticModel(x, y, 2), draws=50)
    return evaluator.run(), store


def _card(evaluated: tuple[Evaluation, WindowStore], pretext: list[str] | None) -> dict[str, Any]:
    sources = None if pretext is None else [_entry(name) for name in pretext]
    return make_card(*evaluated, sources, "edge-ecg evaluate RUN STORE")


def _entry(name: str) -> dict[str, Any]:
    """What a store, and so a run, says of a data set."""
    one = DATASETS[name]
    return {
        "name": name,
        "title": one.title,
        "licence": one.licence,
        "citation": one.citation,
        "url": one.url,
        "windows": 7,
    }


def test_the_numbers_are_the_evaluations(evaluated: tuple[Evaluation, WindowStore]) -> None:
    evaluation, store = evaluated
    card = _card(evaluated, ["qtdb"])
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    assert card["people"] == 4
    assert card["windows"] == len(store)
    for entry, result in zip(card["results"], evaluation.results, strict=True):
        assert entry["metrics"]["auc"]["value"] == round(result.metrics["auc"].value, 4)
        assert entry["windows"] == result.windows
    assert card["majority_rate"]["value"] == pytest.approx(
        np.bincount(store.label("stress")).max() / len(store), abs=1e-4
    )
    assert card["protocol"]["hop_s"] == 5
    assert card["protocol"]["preprocessing_hash"] == store.preprocessing_hash
    assert card["datasets"][0]["licence"] == "ODC-BY-1.0"


def test_every_number_stands_in_the_text(evaluated: tuple[Evaluation, WindowStore]) -> None:
    card = _card(evaluated, ["qtdb", "mitdb"])
    text = markdown("small", [card])
    for result in card["results"]:
        for metric in ("auc", "balanced_accuracy", "macro_f1", "f1_sarkar"):
            assert cell(result["metrics"][metric]) in text
    for words in (
        "not a medical device",
        "leave one person out",
        "(leaks)",
        "Zyma",
        "ODC-BY-1.0",
        "Laguna",
        "Moody",
    ):
        assert words in text
    assert "edge-ecg evaluate RUN STORE" in text
    for line in warnings_of(card):
        assert line in text


@pytest.mark.parametrize(
    ("pretext", "warning"),
    [(["qtdb", "eegmat"], "were not new to it"), (None, "is not recorded"), (["qtdb"], None), ([], None)],
)
def test_an_encoder_that_saw_the_tested_people(
    evaluated: tuple[Evaluation, WindowStore], pretext: list[str] | None, warning: str | None
) -> None:
    said = " ".join(warnings_of(_card(evaluated, pretext)))
    assert ("not new to it" in said) == (warning == "were not new to it")
    assert ("not recorded" in said) == (warning == "is not recorded")


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-0.1, 0.1, "neither is shown to be better"),
        (None, None, "neither is shown to be better"),
        (0.01, 0.1, "the encoder is better than three"),
        (-0.1, -0.01, "three heart-rate features are better"),
    ],
)
def test_the_verdict_follows_the_paired_interval(
    evaluated: tuple[Evaluation, WindowStore], low: float | None, high: float | None, said: str
) -> None:
    card = _card(evaluated, [])
    card["encoder_minus_heart_rate"] = {"none": {"auc": {"value": 0.0, "low": low, "high": high}}}
    verdicts = [line for line in warnings_of(card) if line.startswith("Personal baseline none: ")]
    assert len(verdicts) == 1
    assert said in verdicts[0]


def test_a_source_known_by_name_only(evaluated: tuple[Evaluation, WindowStore]) -> None:
    card = make_card(*evaluated, [{"name": "mine"}], "edge-ecg evaluate RUN STORE")
    assert "- mine" in markdown("small", [card]).splitlines()


def test_the_limits_of_the_data_are_on_the_card(evaluated: tuple[Evaluation, WindowStore]) -> None:
    said = " ".join(warnings_of(_card(evaluated, [])))
    assert "one stressor" in said
    assert "students" in said


def test_cells() -> None:
    assert cell({"value": 0.5, "low": 0.25, "high": 0.75}) == "0.500 [0.250, 0.750]"
    assert cell({"value": 0.5, "low": -0.25, "high": None}, signed=True) == "+0.500 [-0.250, –]"
