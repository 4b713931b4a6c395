"""The card as plain values: what is on it, what it dares to say, and that a leak is not hidden."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from sklearn.metrics import roc_auc_score

from edge_ecg.errors import DataError
from edge_ecg_train.evaluation.card_dict import build_card
from edge_ecg_train.evaluation.leaks import LeakFinding
from edge_ecg_train.evaluation.predictions import Predictions, with_context

REFERENCE = "three features"
STORE = {
    "datasets": [{"name": "made", "title": "Made recordings", "caution": "Nobody was stressed."}],
    "windowing": {"hop_s": 5},
    "preprocessing": {"normalisation": "calibrated"},
}
PASSED = LeakFinding("nobody is trained on and tested on", True, "6 folds")


def _card(
    predictions: list[Predictions], findings: tuple[LeakFinding, ...] = (PASSED,), **options: Any
) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "title": "made",
        "command": "edge-ecg evaluate --recipe made.yaml",
        "store_facts": STORE,
        "draws": 100,
        "seed": 0,
        "reference": REFERENCE,
    }
    return build_card(predictions, findings, **{**settings, **options})


@pytest.fixture
def sweep(sampled: Any) -> list[Predictions]:
    """Two systems with and without baseline and context, few and all labels, and the leaky split."""
    out = []
    for number, (system, skill) in enumerate([(REFERENCE, 0.8), ("network", 2.5)]):
        for baseline_s in (0.0, 30.0, 60.0):
            one = sampled(skill, noise=number, system=system, baseline_s=baseline_s)
            out += [one, with_context(one, 30.0)] if baseline_s != 30.0 else [one]
        out.append(sampled(skill + 1, noise=number, system=system, protocol="random-windows"))
        out += [
            sampled(skill / 2, noise=10 * seed + number, system=system, label_fraction=0.1, seed=seed)
            for seed in (0, 1)
        ]
    return out


def test_it_is_plain_json(sweep: list[Predictions]) -> None:
    card = _card(sweep, pairs=(("network", REFERENCE),))
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    assert card["schema"] == 1
    assert card["trustworthy"] is True


def test_the_numbers_are_the_predictions(sweep: list[Predictions]) -> None:
    card = _card(sweep)
    for setting in card["settings"]:
        for one in setting["systems"]:
            (run,) = (
                run
                for run in sweep
                if (run.system, run.protocol, run.baseline_s, run.context_s, run.label_fraction)
                == (one["system"], setting["protocol"], setting["baseline_s"], setting["context_s"], 1.0)
            )
            auc = roc_auc_score(run.labels, run.probabilities[:, 1])
            assert one["metrics"]["auc"]["value"] == pytest.approx(auc, abs=1e-4)
            assert (
                one["metrics"]["auc"]["low"]
                <= one["metrics"]["auc"]["value"]
                <= one["metrics"]["auc"]["high"]
            )
            assert (one["people"], one["windows"]) == (6, 120)
            assert len(one["by_person"]) == 6


def test_every_table_names_its_command(sweep: list[Predictions]) -> None:
    card = _card(sweep)
    parts = [card, *card["settings"]]
    parts += [card[key] for key in ("label_efficiency", "baseline", "context", "calibration", "coverage")]
    assert {part["command"] for part in parts} == {"edge-ecg evaluate --recipe made.yaml"}


def test_points_of_a_curve_have_no_tables_of_their_own(sweep: list[Predictions]) -> None:
    card = _card(sweep)
    honest = [(one["baseline_s"], one["context_s"]) for one in card["settings"] if one["honest"]]
    assert honest == [(0.0, 0.0), (0.0, 30.0), (60.0, 0.0), (60.0, 30.0)]
    curve = next(one for one in card["baseline"]["rows"] if one["setting"]["context_s"] == 0.0)
    assert [point["at"] for point in curve["points"]] == [0.0, 30.0, 60.0]
    # But what stands in no curve keeps its table.
    only = [replace(one, baseline_s=15.0) for one in sweep if one.system == "network"][:1]
    shown = _card([*sweep, replace(only[0], system="lone")])["settings"]
    assert 15.0 in {one["baseline_s"] for one in shown}


def test_random_windows_stand_beside_the_honest_split_only(sweep: list[Predictions]) -> None:
    card = _card(sweep)
    assert [one["protocol"] for one in card["settings"]].index("random-windows") == len(card["settings"]) - 1
    assert card["settings"][-1]["differences"] == []
    rows = {row["system"]: row for row in card["random_windows"]["rows"]}
    assert set(rows) == {REFERENCE, "network"}
    row = rows["network"]
    assert row["honest_protocol"] == "leave-one-subject-out"
    assert row["difference"]["value"] == pytest.approx(
        row["random"]["value"] - row["honest"]["value"], abs=2e-4
    )
    assert "the leak flatters by" in card["sentences"]["random_windows"][0]
    for key in ("calibration", "coverage", "baseline", "context"):
        assert all(r["setting"]["protocol"] != "random-windows" for r in card[key]["rows"])


def test_better_is_said_only_of_an_interval_above_zero(sampled: Any) -> None:
    good = sampled(3.0, noise=1, system="good")
    same = sampled(0.5, noise=2, system="same")
    bad = sampled(-2.0, noise=3, system="bad")
    card = _card([sampled(0.5, system=REFERENCE), good, same, bad])
    said = {line.split(" is ")[0]: line for line in card["sentences"]["comparison"]}
    assert said["good"].startswith(f"good is better than {REFERENCE} (leave-one-subject-out, no personal")
    assert said["same"].startswith(f"same is not shown to be better than {REFERENCE}")
    assert said["bad"].startswith(f"bad is worse than {REFERENCE}")
    rows = {row["system"]: row for row in card["settings"][0]["differences"]}
    assert rows["good"]["metrics"]["auc"]["low"] > 0.0
    assert rows["same"]["metrics"]["auc"]["low"] <= 0.0 <= rows["same"]["metrics"]["auc"]["high"]
    assert rows["good"]["metrics"]["auc"]["p_holm"] >= rows["good"]["metrics"]["auc"]["p"]
    assert f"{rows['good']['people']} people" in said["good"]


@pytest.mark.parametrize(
    ("skill", "said"), [(3.0, "holds here"), (0.3, "not shown to be better"), (-3.0, "it is worse")]
)
def test_the_claim_about_few_labels(sampled: Any, skill: float, said: str) -> None:
    runs = [
        sampled(s, noise=number, system=system, label_fraction=fraction)
        for number, (system, fraction, s) in enumerate(
            [("ssl", 0.1, skill), ("ssl", 1.0, 1.0), ("twin", 0.1, 0.3), ("twin", 1.0, 1.0)]
        )
    ]
    card = _card(runs, pairs=(("ssl", "twin"),), reference=None)
    line = card["sentences"]["label_efficiency"][0]
    assert line.startswith(
        "The claim that ssl with 10 % of the labels does at least as well as twin with 10 %"
    )
    assert said in line
    assert ("does not hold here" in line) == (said != "holds here")


def test_who_is_worse_off_is_named(predicted: Any) -> None:
    people = ["made/a"] * 4 + ["made/b"] * 4
    labels = [0, 0, 0, 1] * 2
    ours = predicted([0.1, 0.2, 0.3, 0.9, 0.9, 0.8, 0.7, 0.1], labels, people, system="network")
    theirs = predicted([0.1, 0.2, 0.3, 0.9] * 2, labels, people, system=REFERENCE)
    card = _card([ours, theirs])
    network = next(one for one in card["settings"][0]["systems"] if one["system"] == "network")
    assert network["below_majority"] == [{"person": "made/b", "accuracy": 0.0, "majority_rate": 0.75}]
    (row,) = card["settings"][0]["differences"]
    assert row["worse_for"] == [{"person": "made/b", "difference": -1.0}]
    said = " ".join(card["sentences"]["people"])
    assert "made/b (0.00 against 0.75)" in said
    assert f"network is worse than {REFERENCE} for 1 person" in said


def test_a_failed_check_is_loud_and_missing_checks_are_told(sweep: list[Predictions]) -> None:
    leak = LeakFinding("nobody is trained on and tested on", False, "made/3 in 2 folds")
    card = _card(sweep[:2], (PASSED, leak))
    assert card["trustworthy"] is False
    assert card["leaks"]["lines"][0] == (
        "LEAK: it does not hold that nobody is trained on and tested on: made/3 in 2 folds"
    )
    assert "not to be trusted" in card["leaks"]["lines"][1]
    unchecked = _card(sweep[:2], ())
    assert unchecked["trustworthy"] is None
    assert unchecked["leaks"]["lines"] == ["No leak check was made."]


def test_the_same_seed_gives_the_same_card(sweep: list[Predictions]) -> None:
    assert _card(sweep[:3]) == _card(sweep[:3])
    assert _card(sweep[:3])["settings"] != _card(sweep[:3], seed=1)["settings"]


def test_without_the_reference_nothing_is_compared_with_it(sweep: list[Predictions]) -> None:
    card = _card([one for one in sweep if one.system == "network"])
    assert card["reference"] is None
    assert all(setting["differences"] == [] for setting in card["settings"])


def test_a_class_that_is_never_predicted_is_a_gap(predicted: Any) -> None:
    card = _card([predicted([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1], ["a", "a", "b", "b"])])
    assert card["settings"][0]["systems"][0]["metrics"]["f1_sarkar"] == {
        "value": None,
        "low": None,
        "high": None,
    }


def test_three_classes(sampled: Any) -> None:
    card = _card([sampled(1.0, classes=3), sampled(0.5, classes=3, noise=1, system=REFERENCE)])
    assert card["labels"] == ["rest", "stress", "amusement"]
    assert card["settings"][0]["differences"][0]["metrics"]["auc"]["value"] is not None


def test_no_predictions_is_a_sentence() -> None:
    with pytest.raises(DataError, match="no predictions"):
        _card([])


def test_choices_inside_the_folds_are_counted(sampled: Any) -> None:
    told = {f"set/{number:02d}": {"chosen": "simple" if number < 4 else "large"} for number in range(6)}
    card = _card([replace(sampled(1.0, system="nested"), facts=told)])
    assert card["settings"][0]["systems"][0]["chosen"] == {"simple": 4, "large": 2}
    assert card["sentences"]["choices"] == [
        "nested (leave-one-subject-out, no personal baseline, one window a decision) chose, of 6 folds: "
        "simple in 4, large in 2."
    ]
