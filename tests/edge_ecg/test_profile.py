"""A profile: read back as it was written, taken back, and refused where it does not belong."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_ecg.deciding import Decider
from edge_ecg.errors import BundleError, DataError, UsageError
from edge_ecg.heads import INTERVAL_FEATURES, MlpHead
from edge_ecg.model import Model
from edge_ecg.profile import (
    Profile,
    RefittedHead,
    encoder_sha256,
    load_profile,
    previous_path,
    require_place,
    save_profile,
    undo_profile,
)
from edge_ecg.profile.codec import encode
from edge_ecg.signal.normalise import Scale

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)
CREATED = "2026-01-31T12:00:00.000Z"


@pytest.fixture
def profile(personal_model: Model) -> Profile:
    rng = np.random.default_rng(0)
    return Profile(
        model=personal_model.name_at_sha,
        encoder_sha256=encoder_sha256(personal_model.manifest),
        created=CREATED,
        seconds=120.0,
        windows=22,
        scale=Scale(-0.0021, 0.0913),
        blocks=11,
        notch_hz=None,
        heart_rate_bpm=63.4,
        embedding=rng.normal(size=128).astype(np.float32),
        features={name: math.nan if name == "pnn20" else rng.normal() for name in INTERVAL_FEATURES},
        heads={"stress": RefittedHead(head(131), {"rest": 9, "stress": 7}, CREATED)},
    )


def head(inputs: int, seed: int = 1) -> MlpHead:
    rng = np.random.default_rng(seed)
    return MlpHead(
        rng.normal(size=inputs), rng.uniform(0.5, 2, inputs), [rng.normal(size=(inputs, 1))], [[0.25]]
    )


def same(first: Profile, second: Profile) -> bool:
    """By all that is kept in the file."""
    return encode(first, None) == encode(second, None)


def test_what_is_written_is_read_back_bit_for_bit(profile: Profile, tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "ann.json"
    save_profile(profile, path)
    found = load_profile(path)
    # The file is called so; records call it by its pseudonym, where it has one.
    assert (found.person, found.name) == (None, "ann")
    np.testing.assert_array_equal(found.embedding, profile.embedding)
    assert found.features == pytest.approx(dict(profile.features), abs=0, nan_ok=True)
    assert (found.scale, found.blocks, found.notch_hz) == (profile.scale, profile.blocks, None)
    values = np.random.default_rng(2).normal(size=(5, 131))
    np.testing.assert_array_equal(
        found.heads["stress"].head.logits(values), profile.heads["stress"].head.logits(values)
    )
    assert found.heads["stress"].examples == {"rest": 9, "stress": 7}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["ann.json"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(values=arrays(np.float32, 128, elements=FLOATS))
def test_every_float32_survives(profile: Profile, tmp_path: Path, values: Any) -> None:
    path = tmp_path / "p.json"
    save_profile(replace(profile, embedding=values), path)
    np.testing.assert_array_equal(load_profile(path).embedding, values)


def test_the_file_is_json_with_one_entry_a_line(profile: Profile, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    save_profile(profile, path)
    text = path.read_text()
    entries = json.loads(text)
    assert len(text.splitlines()) == len(entries) + 2
    assert entries["features"]["pnn20"] is None
    assert path.stat().st_size < 20_000


def test_undo_walks_back_one_step_and_never_loses_the_first(profile: Profile, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    second, third = (replace(profile, created=f"2026-02-0{day}T12:00:00.000Z") for day in (1, 2))
    for one in (profile, second, third):
        save_profile(one, path)
    assert same(load_profile(previous_path(path)), second)
    restored = undo_profile(path).restored
    assert restored is not None
    assert same(restored, second)
    assert same(load_profile(path), second)
    with pytest.raises(DataError, match="no longer kept"):
        undo_profile(path)
    assert same(load_profile(path), second)


def test_undoing_the_first_profile_removes_it(profile: Profile, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    save_profile(profile, path)
    save_profile(profile, path)
    undo_profile(path)
    assert undo_profile(path).restored is None
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="There is no profile"):
        undo_profile(path)


def test_a_damaged_profile_can_be_replaced_and_the_replacement_undone_says_so(
    profile: Profile, tmp_path: Path
) -> None:
    path = tmp_path / "p.json"
    path.write_text("{")
    require_place(path)
    save_profile(profile, path)
    assert path.read_text().index("edge-ecg profile") < 40
    require_place(path)
    assert previous_path(path).read_text() == "{"
    with pytest.raises(DataError, match="damaged"):
        undo_profile(path)
    assert same(load_profile(path), profile)


def test_a_profile_that_cannot_be_written_leaves_the_old_one(profile: Profile, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    save_profile(profile, path)
    (tmp_path / "p.json.part").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        save_profile(replace(profile, windows=3), path)
    assert load_profile(path).windows == 22


def test_a_newer_schema_asks_for_a_newer_version(profile: Profile, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    save_profile(profile, path)
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(DataError, match="schema 2") as caught:
        load_profile(path)
    assert "upgrade" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "damaged"),
        ("[1, 2]", "no profile"),
        ('{"type": "something else"}', "no profile"),
        ('{"type": "edge-ecg profile"}', "schema is missing"),
        ("[" * 100_000, "damaged"),
        ("\xff\xfe", "damaged"),
    ],
)
def test_foreign_files_are_refused_in_a_sentence(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=said):
        load_profile(path)


WRONG: list[tuple[str, Any]] = [
    ("embedding", []),
    ("embedding", [1.0, "two"]),
    ("embedding", [[1.0]]),
    ("embedding", [1e60]),
    ("embedding", None),
    ("scale", {"mean_mv": 0.0, "sd_mv": 0.0, "blocks": 1}),
    ("scale", {"mean_mv": 0.0, "sd_mv": 1.0, "blocks": 0}),
    ("windows", 1.5),
    ("seconds", -1),
    ("features", {"log_sdnn": "much"}),
    ("heads", {"stress": {}}),
    ("heads", {"stress": {"weights": [[[1.0]]], "biases": [[1.0]], "examples": {}}}),
    ("heads", []),
]


@pytest.mark.parametrize(("key", "value"), WRONG, ids=str)
def test_a_value_of_another_kind_is_damage(key: str, value: Any, profile: Profile, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    save_profile(profile, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(DataError, match="damaged") as caught:
        load_profile(path)
    assert key in caught.value.why


Change = Callable[[Profile], Profile]


def test_a_profile_fits_the_model_that_it_was_taken_with(profile: Profile, personal_model: Model) -> None:
    profile.require_fit(personal_model)
    names = ("heart_rate_bpm", "sdnn_ms", "rmssd_ms")
    assert profile.sources.tolist() == [profile.features[name] for name in names]


def test_another_encoder_is_refused_naming_both(profile: Profile, personal_model: Model) -> None:
    other = replace(profile, model="other@0123456789ab", encoder_sha256="f" * 64)
    with pytest.raises(BundleError, match="another model") as caught:
        other.require_fit(personal_model)
    assert "other@0123456789ab" in caught.value.why
    assert personal_model.name_at_sha in caught.value.why


def test_new_heads_on_the_same_encoder_keep_the_baseline_but_not_the_refit(
    profile: Profile, personal_model: Model
) -> None:
    older = replace(profile, model="personal@0123456789ab")
    replace(older, heads={}).require_fit(personal_model)
    with pytest.raises(BundleError, match="refitted from another model"):
        older.require_fit(personal_model)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, features={}),
        lambda one: replace(one, embedding=one.embedding[:64]),
        lambda one: replace(one, heads={"valence": one.heads["stress"]}),
        lambda one: replace(one, heads={"stress": RefittedHead(head(129), {}, CREATED)}),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: Change, profile: Profile, personal_model: Model) -> None:
    with pytest.raises(BundleError, match="does not fit"):
        change(profile).require_fit(personal_model)


def test_another_filter_than_at_rest_is_refused(profile: Profile, personal_model: Model) -> None:
    with pytest.raises(UsageError, match="without --notch"):
        profile.require_fit(personal_model, 50.0)


def test_predict_with_a_profile_is_what_a_session_decides(personal_model: Model, profile: Profile) -> None:
    rng = np.random.default_rng(1)
    windows = rng.normal(size=(3, 2560)).astype(np.float32)
    windows[:, ::200] += 8.0  # beats
    for known in (profile, replace(profile, heads={})):
        decider = Decider(personal_model, known, context_s=0.0)
        expected = [decider.decide(window, 10.0 * index)["stress"] for index, window in enumerate(windows)]
        np.testing.assert_allclose(
            personal_model.predict(windows, known)["stress"], expected, rtol=0, atol=1e-6
        )
        assert not np.allclose(personal_model.predict(windows)["stress"], expected, atol=1e-3)
    with pytest.raises(BundleError, match="another model"):
        personal_model.predict(windows, replace(profile, encoder_sha256="0" * 64))
