"""A whole sweep on a small store: staged, computed, interrupted, gone on with, collected."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ecg.errors import DataError, UsageError
from edge_ecg_train.checkpoint import save_encoder
from edge_ecg_train.datasets import get_dataset
from edge_ecg_train.datasets.label_rules import Rule
from edge_ecg_train.embeddings import encoder_sha256, task_embeddings, trunk_of
from edge_ecg_train.evaluation import stage_encoders
from edge_ecg_train.evaluation import sweep as sweep_module
from edge_ecg_train.evaluation.cells import Cell, Outcome, compute, finished
from edge_ecg_train.evaluation.data import TaskData
from edge_ecg_train.evaluation.executors import make_executor
from edge_ecg_train.evaluation.predictions import with_context
from edge_ecg_train.evaluation.stage_encoders import pretrained_on, stage_encoder, stage_store
from edge_ecg_train.evaluation.sweep import Listener, check, collect, execute, stage, stage_on
from edge_ecg_train.evaluation.sweep_recipe import Sources, parse_sweep
from edge_ecg_train.networks import Trunk
from edge_ecg_train.run_dir import RunDir
from edge_ecg_train.store import WindowStore

TABLE: dict[str, Any] = {
    "data": {"sets": ["eegmat"], "hop_s": 5},
    "task": "stress",
    "protocols": ["grouped-2", "random-windows-5"],
    "baselines_s": [0, 30],
    "contexts_s": [0, 20],
    "labels": {"fractions": [0.5, 1.0]},
    "systems": [{"id": "heart", "kind": "heart"}, {"kind": "heart", "intervals": ["heart_rate_bpm"]}],
}
SERIAL = make_executor("serial")


def table(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(TABLE), **changes}


@pytest.fixture
def root(fake_data: Any) -> Path:
    folder: Path = fake_data.eegmat(people=4, rest_s=45.0)
    return folder.parent


def test_everything_that_is_asked_for(root: Path, tmp_path: Path) -> None:
    sweep = stage(parse_sweep(table(), "mine"), root, tmp_path / "cache")
    execute(sweep, SERIAL)
    got = {(p.system, p.protocol, p.baseline_s, p.context_s, p.label_fraction): p for p in collect(sweep)}
    names = [one.name for one in sweep.systems]
    assert set(got) == {
        (name, *setting)
        for name in names
        for setting in [
            ("grouped-2", 0.0, 0.0, 1.0),
            ("grouped-2", 0.0, 20.0, 1.0),
            ("grouped-2", 0.0, 0.0, 0.5),
            ("grouped-2", 30.0, 0.0, 1.0),
            ("grouped-2", 30.0, 20.0, 1.0),
            ("random-windows", 0.0, 0.0, 1.0),
        ]
    }
    alone = got[(names[0], "grouped-2", 30.0, 0.0, 1.0)]
    context = got[(names[0], "grouped-2", 30.0, 20.0, 1.0)]
    np.testing.assert_array_equal(context.probabilities, with_context(alone, 20.0).probabilities)
    assert len(set(got[(names[0], "random-windows", 0.0, 0.0, 1.0)].fold)) == 5
    assert sweep.name_of("heart") == names[0]
    assert sweep.failures == []


def test_an_interrupted_sweep_goes_on(root: Path, tmp_path: Path) -> None:
    recipe = parse_sweep(table(), "mine")
    computed: list[str] = []

    def interrupted_after(count: int) -> Any:
        def run(cells: Sequence[Cell]) -> Iterator[Outcome]:
            for number, cell in enumerate(cells):
                if number == count:
                    raise KeyboardInterrupt
                computed.append(cell.key)
                yield compute(cell)

        return run

    sweep = stage(recipe, root, tmp_path / "cache")
    total = len(sweep.cells)
    with pytest.raises(KeyboardInterrupt):
        execute(sweep, interrupted_after(3))
    assert sum(finished(cell) is not None for cell in sweep.cells) == 3
    again = stage(recipe, root, tmp_path / "cache")
    execute(again, interrupted_after(total))
    assert len(computed) == total
    assert len(set(computed)) == total
    whole = collect(again)
    # The same as in one go, elsewhere.
    other = stage(recipe, root, tmp_path / "other")
    execute(other, SERIAL)
    for ours, theirs in zip(whole, collect(other), strict=True):
        np.testing.assert_array_equal(ours.probabilities, theirs.probabilities)


def test_another_recipe_finds_what_it_shares(root: Path, tmp_path: Path) -> None:
    first = stage(parse_sweep(table(), "mine"), root, tmp_path / "cache")
    execute(first, SERIAL)
    said: list[str] = []
    listener = Listener(recording=lambda one: said.append(one.session))
    second = stage(parse_sweep(table(baselines_s=[0, 15, 30]), "other"), root, tmp_path / "cache", listener)
    assert said == []  # the windows were there
    open_cells = [cell for cell in second.cells if finished(cell) is None]
    assert {cell.config["baseline_s"] for cell in open_cells} == {15.0}


def test_a_failed_setting_is_left_out_and_said(root: Path, tmp_path: Path) -> None:
    sweep = stage(parse_sweep(table(baselines_s=[0, 5]), "mine"), root, tmp_path / "cache")
    execute(sweep, SERIAL)
    assert len(sweep.failures) == 2
    assert all("first 5 s" in one for one in sweep.failures)
    assert {p.baseline_s for p in collect(sweep)} == {0.0}
    nothing = stage(
        parse_sweep(table(baselines_s=[5], labels={}, protocols=["grouped-2"]), "mine"), root, tmp_path
    )
    execute(nothing, SERIAL)
    with pytest.raises(DataError, match="Not one system could be evaluated"):
        collect(nothing)


def test_two_systems_of_one_name(root: Path, tmp_path: Path) -> None:
    twice = [{"kind": "heart"}, {"kind": "heart"}]
    with pytest.raises(UsageError, match="two systems that are printed as"):
        stage(parse_sweep(table(systems=twice), "mine"), root, tmp_path)
    twice[1]["label"] = "another"
    assert stage(parse_sweep(table(systems=twice), "mine"), root, tmp_path).systems[1].name == "another"


def test_a_network_has_a_cell_a_fold(root: Path, tmp_path: Path) -> None:
    systems = [{"kind": "end-to-end", "training": {"epochs": 1, "hidden": [4]}}]
    recipe = parse_sweep(table(systems=systems, labels={}), "mine")
    sweep = stage(recipe, root, tmp_path)
    assert [len(group) for group in sweep.groups] == [2, 2, 5]
    assert len({cell.key for cell in sweep.cells}) == 9


def test_the_checks_see_folds_and_systems(root: Path, tmp_path: Path) -> None:
    recipe = parse_sweep(table(systems=[{"kind": "heart"}], baselines_s=[0, 5, 30]), "mine")
    findings = check(stage(recipe, root, tmp_path))
    assert findings
    assert all(one.passed for one in findings), [one for one in findings if not one.passed]
    assert not any("random-windows" in one.detail for one in findings)


def test_encoders_are_known_by_their_weights(tmp_path: Path) -> None:
    random = {"random": 3, "padding": "valid", "pooling": "max-mean-std"}
    trunk = trunk_of(random)
    assert isinstance(trunk, Trunk)
    for name in ("a", "b"):
        run = RunDir(tmp_path / name)
        run.create()
        save_encoder(run.encoder, trunk)
        run.update_json(pretext={"recipe": "quick", "datasets": [{"name": "qtdb"}], "subjects": ["qtdb/1"]})
    hashes = {
        encoder_sha256(one) for one in (random, {"run": str(tmp_path / "a")}, {"run": str(tmp_path / "b")})
    }
    assert len(hashes) == 1
    assert encoder_sha256({**random, "random": 4}) not in hashes
    assert encoder_sha256({**random, "pooling": "max"}) not in hashes
    assert pretrained_on({"run": str(tmp_path / "a")}) == {"datasets": ["qtdb"], "subjects": ["qtdb/1"]}
    assert pretrained_on(random) == {"datasets": [], "subjects": []}
    staged = stage_encoder({"run": str(tmp_path / "a")}, Sources(("eegmat",)), tmp_path, tmp_path, print)
    assert staged.name == "pretrained: quick"


def test_embeddings_are_computed_once(root: Path, tmp_path: Path) -> None:
    store = stage_store(Sources(("eegmat",)), root, tmp_path / "cache")
    data = TaskData.of(store, "stress", cache=tmp_path / "features")
    done: list[int] = []
    encoder = {"random": 0}
    first = task_embeddings(data, encoder, done.append)
    assert first.shape == (len(data), 128)
    assert sum(done) == len(data)
    again = TaskData.of(store, "stress", cache=tmp_path / "features")
    np.testing.assert_array_equal(task_embeddings(again, encoder, done.append), first)
    assert sum(done) == len(data)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("bundeled", "no encoder 'bundeled'"),
        ({"path": "x"}, "no encoder"),
        ({"random": "x"}, "cannot be 'x'"),
        ({"random": 0, "poolling": "max"}, "Did you mean 'pooling'"),
        ({"random": 0, "pooling": "mean"}, "cannot be 'mean'"),
        ({"run": "nowhere"}, "is not a run"),
        ({"pretext": "quick"}, "lacks sets"),
        ({"pretext": "eegmat-honest", "sets": ["eegmat"]}, "no recipe"),
    ],
)
def test_encoders_that_make_no_sense(tmp_path: Path, spec: Any, message: str) -> None:
    with pytest.raises((UsageError, DataError)) as caught:
        stage_encoder(spec, Sources(("eegmat",)), tmp_path, tmp_path, print)
    assert message in str(caught.value)


def test_a_store_is_prepared_again_when_recordings_change(fake_data: Any, tmp_path: Path) -> None:
    folder = fake_data.eegmat(people=2)
    first = stage_store(Sources(("eegmat",)), folder, tmp_path / "cache")
    assert stage_store(Sources(("eegmat",)), folder, tmp_path / "cache").path == first.path
    assert stage_store(Sources(("eegmat",), hop_s=10), folder, tmp_path / "cache").path != first.path
    with (folder / "recordings.csv").open("a") as file:
        file.write("\n")
    assert stage_store(Sources(("eegmat",)), folder, tmp_path / "cache").path != first.path


def test_a_store_is_prepared_again_when_a_word_or_a_rule_changes(
    fake_data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fake_data.eegmat(people=2)
    first = stage_store(Sources(("eegmat",)), folder, tmp_path / "cache")
    table = folder / "recordings.csv"
    said = table.read_text()
    table.write_text(said.replace(",S01,", ",S07,"))  # as long as it was
    renamed = stage_store(Sources(("eegmat",)), folder, tmp_path / "cache")
    assert {*first.subject} == {"eegmat/S00", "eegmat/S01"}
    assert {*renamed.subject} == {"eegmat/S00", "eegmat/S07"}
    table.write_text(said)
    # The classes are called the same, and mean something else.
    rule = Rule("mood", "arousal", ("low", "high"), threshold=5.0)
    places = []
    for threshold in (5.0, 3.0):
        rules = (replace(rule, threshold=threshold),)
        monkeypatch.setattr(type(get_dataset("eegmat")), "rules", lambda self, root=None, rules=rules: rules)
        places.append(stage_store(Sources(("eegmat",)), folder, tmp_path / "cache").path)
    assert len({first.path, *places}) == 3


def test_pretraining_on_the_fly_is_done_once(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        "[pretext]\nsteps = 1\nbatch_windows = 2\nversions = 1\nholdout = 0.0\nevaluate_every = 0\n"
    )
    spec = {"pretext": str(recipe), "sets": ["eegmat"], "name": "tiny trunk"}
    said: list[str] = []
    sources = Sources(("eegmat",))
    first = stage_encoder(spec, sources, root, tmp_path / "cache", said.append)
    assert first.name == "tiny trunk"
    assert len(said) == 1
    facts = first.facts
    assert facts["datasets"] == ["eegmat"]
    assert facts["subjects"] == [f"eegmat/S0{number}" for number in range(4)]

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("it was there already")

    monkeypatch.setattr(stage_encoders, "run_pretext", fail)
    again = stage_encoder(spec, sources, root, tmp_path / "cache", said.append)
    assert again == first
    assert len(said) == 1


def test_ratings_have_no_baseline_not_even_one_that_was_computed_before(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = parse_sweep(table(labels={"fractions": [1.0]}, contexts_s=[0]), "mine")
    place = stage(recipe, root, tmp_path / "cache").store.path
    info = json.loads((place / "store.json").read_text())
    (place / "store.json").write_text(json.dumps({**info, "labels": {"stress": ["low", "high"]}}))
    rated = stage_on(recipe, WindowStore.open(place), root, tmp_path / "cache")
    with monkeypatch.context() as before:
        before.setattr(sweep_module, "rest_class", lambda names: 0)
        once = stage_on(recipe, WindowStore.open(place), root, tmp_path / "cache")
    kept = {cell.key for cell in once.cells} & {cell.key for cell in rated.cells}
    assert kept == {cell.key for cell in rated.cells if not cell.config["baseline_s"]}
    execute(rated, SERIAL)
    assert rated.failures
    assert all("none of the task's classes is rest" in one for one in rated.failures)
    assert {one.baseline_s for one in collect(rated)} == {0.0}
