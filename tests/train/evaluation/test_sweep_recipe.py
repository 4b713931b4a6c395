"""Sweep recipes: what is asked for, and a sentence for whatever makes no sense."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from edge_ecg.errors import UsageError
from edge_ecg_train.evaluation.sweep_recipe import built_in_sweeps, load_sweep, parse_sweep

TABLE: dict[str, Any] = {
    "title": "A card",
    "data": {"sets": ["eegmat"]},
    "task": "stress",
    "protocols": ["leave-one-subject-out", "random-windows"],
    "baselines_s": [0, 60],
    "contexts_s": [0, 30],
    "labels": {"fractions": [0.1, 1.0], "baselines_s": [60]},
    "seeds": [0, 1],
    "systems": [
        {"id": "heart", "kind": "heart"},
        {
            "id": "trunk",
            "kind": "encoder",
            "encoder": "bundled",
            "label": "the trunk",
            "only": {"seeds": [1]},
        },
    ],
    "reference": "heart",
    "pairs": [["trunk", "heart"]],
}
YAML = """
data: {sets: [eegmat, nilspod], hop_s: 10, normalisation: recording}
task: stress
protocols: [transfer eegmat -> nilspod]
systems:
  - {kind: heart}
"""
TOML = """
task = "stress"
protocols = ["transfer eegmat -> nilspod"]
systems = [{kind = "heart"}]
[data]
sets = ["eegmat", "nilspod"]
hop_s = 10
normalisation = "recording"
"""


def changed(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(TABLE), **changes}


def test_what_is_computed() -> None:
    recipe = parse_sweep(changed(), "mine")
    trials = [
        (one.system.id, one.protocol.name, one.baseline_s, one.label_fraction, one.seed)
        for one in recipe.trials()
    ]
    loso, leak = "leave-one-subject-out", "random-windows"
    assert [one for one in trials if one[0] == "trunk"] == [
        ("trunk", loso, 0.0, 1.0, 1),
        ("trunk", loso, 60.0, 0.1, 1),
        ("trunk", loso, 60.0, 1.0, 1),
        ("trunk", leak, 0.0, 1.0, 1),
    ]
    assert len([one for one in trials if one[0] == "heart"]) == 2 * 4
    assert recipe.pairs == (("trunk", "heart"),)
    assert recipe.systems[1].label == "the trunk"
    assert recipe.systems[1].table == {"kind": "encoder", "encoder": "bundled"}


@pytest.mark.parametrize(("suffix", "text"), [(".yaml", YAML), (".toml", TOML)])
def test_yaml_and_toml_say_the_same(tmp_path: Path, suffix: str, text: str) -> None:
    place = tmp_path / f"mine{suffix}"
    place.write_text(text)
    recipe = load_sweep(str(place))
    assert recipe.name == "mine"
    assert recipe.data.sets == ("eegmat", "nilspod")
    assert recipe.data.preparation.hop_s == 10
    assert recipe.data.preparation.normalisation == "recording"
    assert recipe.baselines_s == (0.0,)
    assert [one.protocol.test for one in recipe.trials()] == [("nilspod",)]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"sytems": []}, "Did you mean 'systems'"),
        ({"data": {"sets": ["eegmat"], "hop": 5}}, "Did you mean 'hop_s'"),
        ({"systems": [{"kind": "heart", "only": {"baseline_s": [0]}}]}, "Did you mean 'baselines_s'"),
        ({"systems": []}, "lists no systems"),
        ({"systems": ["heart"]}, "a system must be a table"),
        ({"protocols": ["loo"]}, "no protocol 'loo'"),
        ({"protocols": ["transfer eegmat -> wesad"]}, "none of its data sets"),
        ({"protocols": []}, "not empty"),
        ({"seeds": [0, 0]}, "without repetitions"),
        ({"seeds": ["a"]}, "cannot be 'a'"),
        ({"baselines_s": [-5]}, "cannot be negative"),
        ({"labels": {"fractions": [0.0]}}, "above 0 and at most 1"),
        ({"labels": {"fractions": [10.0]}}, "above 0 and at most 1"),
        ({"draws": 0}, "give no interval"),
        ({"reference": "hart"}, "Did you mean 'heart'"),
        ({"pairs": [["trunk"]]}, "List pairs of ids"),
        ({"pairs": [["trunk", "svm"]]}, "no system has the id 'svm'"),
        ({"systems": [{"id": "heart"}, {"id": "heart"}], "pairs": []}, "two systems have the id"),
        ({"systems": [{"id": "heart", "only": {"seeds": [5]}}], "pairs": []}, "names 5, which the sweep"),
        ({"data": "eegmat"}, "must be a table"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_sweep(changed(**table), "mine")
    assert message in str(caught.value)


@pytest.mark.parametrize("table", [None, [], "text", {"task": "stress"}])
def test_what_is_no_recipe_at_all(table: Any) -> None:
    with pytest.raises(UsageError):
        parse_sweep(table, "mine")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "data: [", "is not YAML"),
        ("a.toml", "data = [", "is not TOML"),
        ("a.yaml", "task: stress\ntask: other\n", "stands there twice"),
        ("a.yaml", "", "must be a table"),
        ("a.yaml", "{[1]: 2}", "is not YAML"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        load_sweep(str(tmp_path / name))
    assert message in str(caught.value)


def test_a_wrong_name_is_answered_with_the_right_one() -> None:
    with pytest.raises(UsageError, match="Use --recipe eegmat-honest"):
        load_sweep("eegmat-honst")


@pytest.mark.parametrize("name", sorted(built_in_sweeps()))
def test_the_recipes_that_come_along(name: str) -> None:
    from edge_ecg_train.datasets import DATASETS

    recipe = load_sweep(name)
    assert recipe.title
    assert set(recipe.data.sets) <= set(DATASETS)
    assert list(recipe.trials())
