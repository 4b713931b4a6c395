"""Rules: from an annotation to a class, and from a window to a label."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.errors import DataError, UsageError
from edge_ecg_train.datasets import DATASETS, Dataset, Recording, Span
from edge_ecg_train.datasets.base import Form
from edge_ecg_train.datasets.label_rules import Rule, bundled_rules, parse_rules, read_rules
from edge_ecg_train.datasets.labeller import Labeller
from edge_ecg_train.prepare import Preparation, prepare
from edge_ecg_train.store import NO_LABEL, labels_hash

FIELD = {"field": "x"}


def _rule(**table: Any) -> Rule:
    (rule,) = parse_rules({"task": {**FIELD, **table}}, "test")
    return rule


def _recording(*spans: Span, subject: str = "p", session: str = "s", **changes: Any) -> Recording:
    make = {"fs_hz": 250.0, "n_samples": 0, "load": lambda: np.zeros(0), **changes}
    return Recording("made", subject, session, "I", spans=spans, **make)


# Annotation to class


def test_classes() -> None:
    rule = _rule(classes={"rest": ["N", 1], "stress": ["T", "I"]})
    assert rule.names == ("rest", "stress")
    found = [rule.class_of(value) for value in ("N", "T", "I", 1.0, 1, "R", "", None, 2.0, "1")]
    assert found == [0, 1, 1, 0, 0, None, None, None, None, None]


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_threshold(value: float) -> None:
    number = _rule(threshold=5).class_of(value)
    if math.isfinite(value):
        assert number == (1 if value >= 5.0 else 0)
    else:
        assert number is None


def test_threshold_needs_a_number() -> None:
    rule = _rule(threshold=5.0)
    assert [rule.class_of(value) for value in ("7", "high", None)] == [None, None, None]
    assert [rule.class_of(value) for value in (4.999, 5.0)] == [0, 1]


@pytest.mark.parametrize(
    ("value", "level"),
    [(1, "1"), (0.5, "1"), (1.49, "1"), (1.5, "2"), (8.99, "9"), (9.49, "9"), (4.5, "5"), (5, "5")],
)
def test_levels_round_to_the_nearest(value: float, level: str) -> None:
    rule = _rule(levels=list(range(1, 10)))
    number = rule.class_of(value)
    assert number is not None
    assert rule.names[number] == level


@pytest.mark.parametrize("value", [0.49, 9.5, -1.0, math.nan, math.inf, "5", None])
def test_no_level_fits(value: Any) -> None:
    assert _rule(levels=list(range(1, 10))).class_of(value) is None


def test_levels_below_zero() -> None:
    rule = _rule(levels=[-3, -2, -1, 0, 1, 2, 3])
    assert rule.names == ("-3", "-2", "-1", "0", "1", "2", "3")
    assert [rule.class_of(value) for value in (-3, -2.6, -0.4, 0, 3)] == [0, 0, 3, 3, 6]


def test_a_mean_that_nobody_took_makes_no_label() -> None:
    rule = _rule(threshold="mean", of="person")
    assert rule.class_of(4.0) is None
    assert (rule.class_of(4.0, mean=4.0), rule.class_of(3.9, mean=4.0)) == (1, 0)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({}, "needs a field"),
        ({"threshold": 1, "levels": [1, 2]}, "one of"),
        ({"threshold": "median"}, "number"),
        ({"threshold": True}, "number"),
        ({"threshold": math.nan}, "number"),
        ({"threshold": "mean"}, "whose mean"),
        ({"threshold": "mean", "of": "dog"}, "whose mean"),
        ({"threshold": 5, "of": "person"}, "number"),
        ({"levels": [1]}, "two numbers"),
        ({"levels": [2, 1]}, "rise"),
        ({"levels": [1, 1, 2]}, "rise"),
        ({"levels": ["a", "b"]}, "two numbers"),
        ({"classes": {"a": ["x"]}}, "Two classes"),
        ({"classes": {"a": ["x"], "b": []}}, "list of words"),
        ({"classes": {"a": ["x"], "b": "y"}}, "list of words"),
        ({"classes": {"a": ["x"], "b": ["x"]}}, "two classes"),
        ({"classes": {"a": ["x"], "b": ["y"]}, "order": ["x"]}, "order"),
        ({"classes": {"a": ["x"], "b": ["y"]}, "colour": 1}, "colour"),
    ],
)
def test_rules_that_make_no_sense(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=r"test \[task\] makes no sense") as caught:
        _rule(**table)
    assert sentence in caught.value.why


def test_a_rule_is_a_table_with_a_field() -> None:
    for tables in ({"task": 5}, {"task": {"threshold": 5}}, {"task": {"field": 1, "threshold": 5}}):
        with pytest.raises(DataError, match="makes no sense"):
            parse_rules(tables, "test")


@pytest.mark.parametrize("content", [b"[stress\n", b"\xff\xfe", b"stress = 3"])
def test_a_file_of_rules_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tasks.toml").write_bytes(content)
    with pytest.raises(DataError):
        read_rules(tmp_path / "tasks.toml")
    with pytest.raises(DataError):
        read_rules(tmp_path / "nothing.toml")


def test_rules_are_written_as_they_were_read() -> None:
    for name, rules in bundled_rules().items():
        again = parse_rules({rule.task: rule.to_json() for rule in rules}, name)
        assert again == rules


# The rules that come with edge-ecg


def test_every_set_of_rules_is_of_a_data_set() -> None:
    assert bundled_rules().keys() <= DATASETS.keys()
    for name, rules in bundled_rules().items():
        assert DATASETS[name].rules() == rules


def test_tasks_of_one_name_have_the_same_classes_everywhere() -> None:
    seen: dict[str, tuple[str, ...]] = {}
    for dataset in DATASETS.values():
        for task, names in dataset.tasks().items():
            assert seen.setdefault(task, names) == names, (dataset.name, task)
    assert seen["stress"] == ("rest", "stress")


@pytest.mark.parametrize(
    ("name", "task", "values"),
    [
        (
            "wesad",
            "stress",
            {"baseline": 0, "stress": 1, "amusement": 0, "meditation": None, "transient": None},
        ),
        (
            "wesad",
            "affect3",
            {"baseline": 0, "stress": 1, "amusement": 2, "meditation": None, "ignore": None},
        ),
        (
            "wesad",
            "affect4",
            {"baseline": 0, "stress": 1, "amusement": 2, "meditation": 3, "transient": None},
        ),
        ("swell", "stress", {"N": 0, "T": 1, "I": 1, "R": None}),
        ("amigos", "arousal", {4.9: 0, 5.0: 1, 9.0: 1}),
        ("dreamer", "valence", {1: 0, 2: 0, 3: 1, 5: 1}),
        ("dreamer", "arousal5", {1: 0, 5: 4, 6: None}),
        ("ascertain", "valence", {-3: 0, -1: 0, 0: 1, 3: 1}),
        ("ascertain", "arousal7", {0: 0, 6: 6}),
        ("nilspod", "stress", {"Baseline": 0, "Stress": 1, "Recovery": 0, "Intervention": None}),
        ("drivedb", "stress", {"rest": 0, "drive": 1}),
    ],
)
def test_bundled_rules(name: str, task: str, values: dict[Any, int | None]) -> None:
    (rule,) = (rule for rule in bundled_rules()[name] if rule.task == task)
    assert {value: rule.class_of(value) for value in values} == values


# Window to label

STRESS = _rule(classes={"rest": ["base", "fun"], "stress": ["stress"]})


def _label(labeller: Labeller, recording: Recording, start_s: float) -> int | None:
    return labeller.labels(recording, start_s, start_s + 10.0).get("task")


def test_only_a_window_wholly_within_one_stretch_has_a_label() -> None:
    recording = _recording(
        Span(0, 20, {"x": "base"}), Span(20, 40, {"x": "fun"}), Span(45, 60, {"x": "stress"})
    )
    labeller = Labeller([STRESS])
    found = {start: _label(labeller, recording, start) for start in (0, 10, 11, 20, 30, 31, 36, 45, 50, 51)}
    # From 11 s the window goes over from base to fun: both are rest, but nobody rested all along.
    expected = {0: 0, 10: 0, 11: None, 20: 0, 30: 0, 31: None, 36: None, 45: 1, 50: 1, 51: None}
    assert found == expected


def test_half_a_sample_does_not_matter() -> None:
    recording = _recording(Span(1.0, 10.9999, {"x": "base"}))
    assert _label(Labeller([STRESS]), recording, 0.9999) == 0
    assert _label(Labeller([STRESS]), recording, 0.99) is None


def test_stretches_that_overlap_must_agree() -> None:
    labeller = Labeller([STRESS])
    whole = Span(0, 60, {"x": "base"})
    assert _label(labeller, _recording(whole, Span(0, 20, {"x": "fun"})), 5) == 0
    assert _label(labeller, _recording(whole, Span(0, 20, {"x": "stress"})), 5) is None
    assert _label(labeller, _recording(whole, Span(0, 20, {"other": "stress"})), 5) == 0


def test_labels_of_a_whole_recording_stay() -> None:
    recording = _recording(labels={"sex": 1, "task": 0})
    assert Labeller([STRESS]).labels(recording, 0.0, 10.0) == {"sex": 1, "task": 0}


@settings(max_examples=60)
@given(
    edges=st.lists(st.integers(0, 80), min_size=2, max_size=8, unique=True).map(sorted),
    values=st.lists(st.sampled_from(["base", "stress", "fun", "?"]), min_size=8, max_size=8),
    start=st.integers(0, 70),
)
def test_by_the_second(edges: list[int], values: list[str], start: int) -> None:
    """Independent way: what each second of the window says."""
    spans = [Span(a, b, {"x": v}) for a, b, v in zip(edges, edges[1:], values, strict=False)]
    seconds = [
        next((index for index, span in enumerate(spans) if span.start_s <= second < span.end_s), None)
        for second in range(start, start + 10)
    ]
    one = set(seconds)
    expected = STRESS.class_of(spans[seconds[0]].values["x"]) if len(one) == 1 and None not in one else None
    assert _label(Labeller([STRESS]), _recording(*spans), start) == expected
    known = [STRESS.rank(spans[index].values["x"]) for index in one if index is not None]
    best = max((rank for rank in known if rank >= 0), default=None)
    largest = None if best is None else STRESS.class_of(("base", "fun", "stress")[int(best)])
    assert _label(Labeller([STRESS], "max"), _recording(*spans), start) == largest


def test_max_is_the_largest_code_in_the_window() -> None:
    """The released code's rule on WESAD: the maximum of the codes 0 to 7, kept when it is 1 to 4."""
    names = ("transient", "baseline", "stress", "amusement", "meditation", "ignore", "ignore", "ignore")
    rng = np.random.default_rng(3)
    rules = {rule.task: rule for rule in bundled_rules()["wesad"]}
    for _ in range(300):
        first, second = rng.integers(0, 8, 2)
        cut_s = float(rng.integers(1, 10))
        spans = (Span(0, cut_s, {"condition": names[first]}), Span(cut_s, 10, {"condition": names[second]}))
        found = Labeller([rules["affect4"]], "max").labels(_recording(*spans), 0.0, 10.0)
        largest = int(max(first, second))
        assert found == ({"affect4": largest - 1} if 1 <= largest <= 4 else {})


def test_max_of_ratings() -> None:
    rule = _rule(threshold=5)
    recording = _recording(
        Span(0, 5, {"x": 3.0}), Span(5, 9, {"x": 7.0}), Span(9, 20, {"x": math.nan}), Span(20, 40, {"x": 1})
    )
    found = {start: _label(Labeller([rule], "max"), recording, start) for start in (0, 9, 15, 40)}
    assert found == {0: 1, 9: None, 15: 0, 40: None}


def test_there_is_no_third_way() -> None:
    with pytest.raises(UsageError, match="no way 'most'"):
        Labeller([STRESS], "most")
    with pytest.raises(UsageError, match="no way 'most'"):
        Preparation(labels="most")


def test_means_of_the_person_and_of_the_set() -> None:
    recordings = [
        # Two leads of one recording: one rating.
        _recording(Span(0, 20, {"x": 9.0}), subject="a", session="1.0"),
        _recording(Span(0, 20, {"x": 9.0}), subject="a", session="1.1"),
        _recording(Span(0, 20, {"x": 5.0}), subject="a", session="2"),
        _recording(Span(0, 20, {"x": math.nan}), subject="a", session="3"),
        _recording(Span(0, 20, {"x": 4.0}), Span(30, 50, {"x": 2.0}), subject="b"),
    ]
    found = {}
    for of in ("person", "set"):
        labeller = Labeller([_rule(threshold="mean", of=of)])
        assert labeller.needs_means
        labeller.learn_means(iter(recordings))
        found[of] = [_label(labeller, one, 0) for one in recordings]
    # a: 7, b: 3; all: (9 + 5 + 4 + 2) / 4 = 5.
    assert found == {"person": [1, 1, 0, None, 1], "set": [1, 1, 1, None, 0]}


# Into the store


class Made(Dataset):
    """One recording of 90 s with a heart beat, rest until 40 s and stress from 50 s on."""

    name = title = licence = citation = caution = "made"
    url = "https://example.org"
    people, hours = 1, 0.1
    forms = (Form("made", ("*",), ("made",)),)

    def __init__(self, ecg_mv: Any, rules: tuple[Rule, ...]) -> None:
        self.ecg_mv, self.made_rules = ecg_mv, rules

    def rules(self, root: Path | None = None) -> tuple[Rule, ...]:
        return self.made_rules

    def _expected(self, form: Form) -> tuple[str, ...]:
        return ()

    def _recordings(self, folder: Path, form: Form) -> Any:
        spans = Span(0, 40, {"x": "base", "y": 3.0}), Span(50, 90, {"x": "stress", "y": 4.0})
        yield _recording(*spans, n_samples=len(self.ecg_mv), load=lambda: self.ecg_mv)


def _made(synthetic: Any, **tables: Any) -> Made:
    return Made(
        synthetic(90.0, 250.0, 70.0), parse_rules({k: {"field": "x", **t} for k, t in tables.items()}, "t")
    )


CLASSES = {"classes": {"rest": ["base"], "stress": ["stress"]}}
MEAN = {"field": "y", "threshold": "mean", "of": "person"}


def test_the_store_has_a_label_for_each_task(synthetic: Any, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "file").touch()
    dataset = _made(synthetic, stress=CLASSES, arousal=MEAN)
    whole, largest = (
        prepare([(dataset, tmp_path / "root")], tmp_path / kind, Preparation(1, labels=kind))
        for kind in ("whole", "max")
    )
    assert whole.tasks == {"stress": ("rest", "stress"), "arousal": ("low", "high")}
    start_s = whole.start_s
    expected = np.where(start_s <= 30, 0, np.where(start_s >= 50, 1, NO_LABEL))
    assert set(expected) == {-1, 0, 1}
    np.testing.assert_array_equal(whole.label("stress"), expected)
    np.testing.assert_array_equal(whole.label("arousal"), expected)
    # From 40 to 50 s nothing is known: only the window that begins there touches neither stretch.
    expected = np.where(start_s < 40, 0, np.where(start_s > 40, 1, NO_LABEL))
    assert (expected == NO_LABEL).sum() == 1
    np.testing.assert_array_equal(largest.label("stress"), expected)
    # Same windows, other labels: the preprocessing fits, the store is another.
    np.testing.assert_array_equal(whole.windows, largest.windows)
    assert whole.preprocessing_hash == largest.preprocessing_hash
    assert whole.labels_hash != largest.labels_hash
    assert whole.store_hash != largest.store_hash
    assert whole.info["labels_hash"] == whole.labels_hash
    assert whole.labelling["rules"]["made"]["arousal"] == MEAN


def test_a_changed_rule_changes_the_store_and_nothing_else(synthetic: Any, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "file").touch()
    stores = [
        prepare([(_made(synthetic, stress=table), tmp_path / "root")], tmp_path / str(number), Preparation())
        for number, table in enumerate(
            (CLASSES, CLASSES, {"classes": {"rest": ["base", "fun"], "stress": ["stress"]}})
        )
    ]
    assert stores[0].store_hash == stores[1].store_hash != stores[2].store_hash
    assert stores[0].labels_hash == stores[1].labels_hash != stores[2].labels_hash
    assert len({store.preprocessing_hash for store in stores}) == 1


def test_sets_whose_classes_differ_do_not_share_a_store(synthetic: Any, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "file").touch()
    other = {"classes": {"stress": ["stress"], "rest": ["base"]}}
    sets = [(_made(synthetic, stress=table), tmp_path / "root") for table in (CLASSES, other)]
    with pytest.raises(DataError, match="other classes for the task 'stress'") as caught:
        prepare(sets, tmp_path / "store", Preparation())
    assert "stress / rest instead of rest / stress" in caught.value.why
    assert not (tmp_path / "store").exists()


def test_the_labels_hash_does_not_follow_the_order_of_keys() -> None:
    a = labels_hash({"s": ("x", "y")}, {"kind": "whole", "rules": {}})
    assert a == labels_hash({"s": ["x", "y"]}, {"rules": {}, "kind": "whole"})
    assert a != labels_hash({"s": ["y", "x"]}, {"rules": {}, "kind": "whole"})
