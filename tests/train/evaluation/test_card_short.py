"""The short forms of the card: two screens of a terminal, and what a bundle carries."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from rich.console import Console

from edge_ecg_train.card import SCHEMA, compact, kept_tasks, markdown
from edge_ecg_train.evaluation.brief import label_claims, main_settings
from edge_ecg_train.evaluation.card_dict import build_card
from edge_ecg_train.evaluation.leaks import LeakFinding
from edge_ecg_train.evaluation.predictions import Predictions, with_context
from edge_ecg_train.evaluation.terminal import print_brief
from edge_ecg_train.evaluation.wording import interval

REFERENCE = "three features + logistic regression"
LEAK = LeakFinding("nobody is trained on and tested on", False, "made/3 in 2 folds")
PASSED = LeakFinding("no window is trained on and tested on", True, "6 folds")
STORE = {
    "datasets": [{"name": "made", "title": "Made", "licence": "CC0", "caution": "Nobody was stressed."}],
    "windowing": {"hop_s": 5},
    "preprocessing": {"normalisation": "calibrated"},
    "preprocessing_hash": "abc",
}


def _runs(sampled: Any, systems: int = 3) -> list[Predictions]:
    out = []
    for number in range(systems):
        system = REFERENCE if number == 0 else f"a network of which the name is rather long, number {number}"
        for baseline_s in (0.0, 15.0, 60.0):
            one = sampled(0.5 + 0.2 * number, noise=number, system=system, baseline_s=baseline_s)
            out += [one, with_context(one, 30.0)]
        out.append(sampled(2.0, noise=number, system=system, protocol="random-windows"))
        for fraction in (0.01, 0.1):
            out.append(sampled(0.3, noise=number, system=system, label_fraction=fraction))
    return out


def _card(runs: list[Predictions], *findings: LeakFinding) -> dict[str, Any]:
    return build_card(
        runs,
        findings or (PASSED,),
        title="made by hand",
        command="edge-ecg evaluate run store",
        store_facts=STORE,
        draws=20,
        reference=REFERENCE,
        pairs=((runs[-1].system, REFERENCE),),
        facts={"failures": ["one cell: it could not be"]},
    )


@pytest.fixture(scope="module")
def card(sampled: Any) -> dict[str, Any]:
    return _card(_runs(sampled))


def _brief(card: dict[str, Any], width: int = 100) -> str:
    file = io.StringIO()
    print_brief(card, Console(file=file, width=width, highlight=False), "The whole card: elsewhere.")
    return file.getvalue()


@pytest.mark.slow
def test_two_screens_hold_twenty_systems(sampled: Any) -> None:
    card = _card(_runs(sampled, 20))
    lines = _brief(card).splitlines()
    assert len(lines) <= 125
    assert max(map(len, lines)) <= 100
    assert "10 more stand on the whole card" in " ".join(lines)
    # The reference stays, although every other is better.
    assert sum(line.count("the reference") for line in lines) == 3


def test_the_main_settings_decide(card: dict[str, Any]) -> None:
    chosen = [(one["baseline_s"], one["context_s"]) for one in main_settings(card)]
    assert chosen == [(0.0, 0.0), (60.0, 0.0), (60.0, 30.0)]
    text = _brief(card, 180)
    for setting in main_settings(card):
        for one in setting["systems"]:
            for metric in ("auc", "balanced_accuracy", "macro_f1"):
                assert interval(one["metrics"][metric]) in text
        for row in setting["differences"]:
            if row["against"] == REFERENCE:
                assert interval(row["metrics"]["auc"], signed=True) in text
    assert "Left out: one cell: it could not be" in text
    assert text.rstrip().endswith("The whole card: elsewhere.")


def test_intervals_are_not_torn(card: dict[str, Any]) -> None:
    tables = [line for line in _brief(card).splitlines() if line.startswith("  ")]
    assert sum("[" in line for line in tables) >= 12
    assert not any(re.search(r"\[[^\]]*$|\[[^\]]*  ", line) for line in tables)


def test_calibration_is_that_of_the_best(card: dict[str, Any]) -> None:
    setting = main_settings(card)[-1]
    best = max(setting["systems"], key=lambda one: one["metrics"]["auc"]["value"])["system"]
    (row,) = [
        one
        for one in card["calibration"]["rows"]
        if one["system"] == best and (one["setting"]["baseline_s"], one["setting"]["context_s"]) == (60, 30)
    ]
    text = _brief(card, 1000)
    assert f"- {best} (leave-one-subject-out, 60 s of personal baseline, 30 s" in text
    assert interval(row["before"]) in text


def test_label_efficiency_names_every_share(card: dict[str, Any]) -> None:
    (line,) = label_claims(card)
    places = [line.index(one) for one in (": 1 % ", "; 10 % ", "; 100 % ")]
    assert places == sorted(places)
    assert line in _brief(card, 1000)


def test_a_leak_is_on_top_of_the_short_forms(sampled: Any) -> None:
    card = _card(_runs(sampled, 1), PASSED, LEAK)
    line = "LEAK: it does not hold that nobody is trained on and tested on: made/3 in 2 folds"
    assert _brief(card, 200).startswith(line)
    short = compact(card, REFERENCE)
    assert (short["trustworthy"], short["leaks"]["checks"], short["leaks"]["failed"]) == (False, 2, 1)
    assert f"> **{line}**" in markdown("small", [short], [])


def test_a_card_of_nothing_but_random_windows(sampled: Any) -> None:
    card = _card([sampled(1.0, system=REFERENCE, protocol="random-windows")])
    assert main_settings(card) == []
    assert "Know before use" in _brief(card)


def test_what_a_bundle_carries(card: dict[str, Any]) -> None:
    short = compact(card, "network", ["One more thing."])
    text = json.dumps(short, indent=1, allow_nan=False)
    assert json.loads(text) == short
    assert len(text) < 20_000
    expected = {
        (one["system"], setting["protocol"], setting["baseline_s"], setting["context_s"]): one
        for setting in card["settings"]
        for one in setting["systems"]
    }
    rows = {(r["system"], r["protocol"], r["baseline_s"], r["context_s"]): r for r in short["rows"]}
    assert set(rows) == set(expected)
    for key, row in rows.items():
        assert (row["people"], row["windows"]) == (expected[key]["people"], expected[key]["windows"])
        for name in ("auc", "balanced_accuracy", "macro_f1", "f1_sarkar"):
            assert row["metrics"][name] == expected[key]["metrics"][name]
    assert {one["against"] for one in short["differences"]} == {REFERENCE}
    assert short["notes"][-1] == "One more thing."
    assert (short["draws"], short["seed"], short["command"]) == (20, 0, "edge-ecg evaluate run store")


def test_the_cards_of_several_tasks_make_one_page(card: dict[str, Any]) -> None:
    short = compact(card, "network")
    other = {**short, "task": "arousal", "labels": ["low", "high"]}
    sources = [{"name": "qtdb", "title": "QT", "licence": "ODC", "citation": "Laguna.", "url": "u"}, "mine"]
    text = markdown("small", [short, other], sources)
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## stress: rest / stress",
        "## arousal: low / high",
        "## Encoder",
    ]
    assert len(text.splitlines()) < 150
    for row in short["rows"]:
        assert text.count(interval(row["metrics"]["f1_sarkar"])) >= 2
    for line in ("- QT (ODC). Laguna. u", "- mine", "- Made (CC0).", "- Nobody was stressed."):
        assert line in text.splitlines()
    assert "not recorded" in markdown("small", [short], None)


def test_cards_of_older_schemata_are_not_mixed_in(card: dict[str, Any]) -> None:
    short = compact(card, "network")
    old = {"task": "valence", "results": []}
    facts = {"card": {"schema": 1, "tasks": {"valence": old, "stress": short}}}
    assert kept_tasks(facts) == {"stress": short}
    assert kept_tasks({}) == {}
    assert short["schema"] == SCHEMA
