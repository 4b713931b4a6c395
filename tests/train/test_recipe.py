"""Recipes: the built-in ones are whole, and what is wrong in one is named."""

from __future__ import annotations

import dataclasses
import math
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.errors import UsageError
from edge_ecg_train.heads import PRESETS, HeadConfig
from edge_ecg_train.losses import L2
from edge_ecg_train.pretext import PretextConfig
from edge_ecg_train.recipe import built_in_recipes, load_recipe, parse_recipe
from edge_ecg_train.supervised import SupervisedConfig
from edge_ecg_train.transforms import TransformConfig


def test_built_in_recipes_are_there_and_readable():
    assert {"quick", "stress", "released-code"} <= set(built_in_recipes())
    for name in built_in_recipes():
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe.pretext is not None
        assert recipe.pretext.steps > 0


def test_released_code_has_its_constants():
    recipe = load_recipe("released-code")
    assert recipe.pretext is not None
    expected = PretextConfig(steps=recipe.pretext.steps, holdout=0.0, evaluate_every=0, seed=1)
    assert recipe.pretext == expected
    assert (expected.batch_windows, expected.versions, expected.learning_rate) == (128, 7, 1e-3)
    assert (expected.lr_factor, expected.lr_every, expected.dropout, expected.l2) == (0.9, 10_000, 0.6, L2)
    assert expected.transforms == TransformConfig(15.0, 1.1, 20, 9, 1.05)
    assert recipe.head_of("anything") == PRESETS["wesad"]


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        """
        [pretext]
        steps = 10
        learning_rate = 1        # an integer where a float is meant
        versions = "all"
        [pretext.transforms]
        scale_factor = 0.9
        [supervised]
        hidden = [32, 16]
        [emotion]
        preset = "mlp"
        seed = 4
        [emotion.tasks.stress]
        preset = "linear"
        c = 0.1
        [emotion.tasks.joy]
        dropout = 0.1
        """
    )
    recipe = load_recipe(str(path))
    assert recipe.pretext == PretextConfig(
        steps=10, learning_rate=1.0, transforms=TransformConfig(scale_factor=0.9)
    )
    assert type(recipe.pretext.learning_rate) is float
    assert recipe.supervised == SupervisedConfig(hidden=(32, 16))
    assert recipe.head_of("other") == dataclasses.replace(PRESETS["mlp"], seed=4)
    assert recipe.head_of("joy") == dataclasses.replace(PRESETS["mlp"], seed=4, dropout=0.1)
    assert recipe.head_of("stress") == HeadConfig(c=0.1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[pretxt]\nsteps = 1", "Did you mean 'pretext'"),
        ("[pretext]\nstep = 1", "Did you mean 'steps'"),
        ("[pretext]\nsteps = 1\nzzz = 1", "Known are"),
        ("[pretext]\nsteps = 1\n[pretext.transforms]\nscale = 0.9", "Did you mean 'scale_factor'"),
        ("[pretext]\nversions = 2", "lacks steps"),
        ("[pretext]\nsteps = 1.5", "type int"),
        ("[pretext]\nsteps = true", "type int"),
        ("[pretext]\nsteps = 1\nversions = 'some'", "type int"),
        ("[pretext]\nsteps = 1\nl2 = 'small'", "type float"),
        ("pretext = 3", "must be a table"),
        ("[emotion]\npreset = 'liner'", "Did you mean 'linear'"),
        ("[emotion]\nkind = 'tree'", "'linear' or 'mlp'"),
        ("[emotion]\nhidden = 3", "cannot be 3"),
        ("[emotion]\nhidden = [3, 'x']", "type int"),
        ("[emotion]\ntemperature = 1", "type bool"),
        ("[emotion.tasks]\nstress = 1", "must be a table"),
        ("[emotion.tasks.stress]\nepoch = 1", "Did you mean 'epochs'"),
        ("[supervised]\nclass_weight = 'equal'", "'balanced' or 'none'"),
    ],
)
def test_mistakes_are_named(text, said):
    with pytest.raises(UsageError) as caught:
        parse_recipe(tomllib.loads(text), "mine")
    assert said in str(caught.value)
    assert "mine" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[pretext]\nsteps = 1\nlearning_rate = -1.0", "above 0"),
        ("[pretext]\nsteps = 1\nlearning_rate = nan", "above 0"),
        ("[pretext]\nsteps = 1\nlr_every = 0", "1 or more"),
        ("[pretext]\nsteps = 1\nl2 = inf", "0 or more"),
        ("[pretext]\nsteps = 1\ndropout = 1.5", "below 1"),
        ("[pretext]\nsteps = 1\nseed = -1", "0 or more"),
        ("[pretext]\nsteps = 1\nkeep_steps = [100, 0]", "1 or more"),
        ("[pretext]\nsteps = 1\n[pretext.transforms]\npermute_pieces = 0", "from 1 to 2560"),
        ("[pretext]\nsteps = 1\n[pretext.transforms]\nnoise_snr_db = nan", "finite"),
        ("[pretext]\nsteps = 1\n[pretext.transforms]\nspread = 0.0", "1 or more"),
        ("[pretext]\nsteps = 1\n[pretext.augment]\nswap_probability = nan", "from 0 to 1"),
        ("[pretext]\nsteps = 1\n[pretext.shuffle]\nbuffer = 0", "1 or more"),
        ("[supervised]\nhidden = [64, -1]", "1 or more"),
        ("[emotion]\nc = 0", "above 0"),
        ("[emotion]\nc_plain = inf", "above 0"),
        ("[emotion.tasks.stress]\ncontext_s = nan", "0 or more"),
        ("[emotion]\nintervals = ['heart_rate']", "unknown feature 'heart_rate'"),
        ("[emotion]\npersonal = []", "names no feature"),
    ],
)
def test_values_out_of_range_are_named(text, said):
    with pytest.raises(UsageError) as caught:
        parse_recipe(tomllib.loads(text), "mine")
    assert said in str(caught.value)
    assert "mine" in str(caught.value)


def test_no_such_recipe_or_no_toml(tmp_path):
    with pytest.raises(UsageError, match="--recipe quick"):
        load_recipe("quik")
    (tmp_path / "bad.toml").write_text("[pretext\nsteps = 1")
    with pytest.raises(UsageError, match="not TOML"):
        load_recipe(str(tmp_path / "bad.toml"))


@pytest.mark.parametrize("name", ["eegmat-honest", "mine.yaml"])
def test_a_recipe_of_an_evaluation_is_sent_there(name):
    with pytest.raises(UsageError, match=f"edge-ecg evaluate --recipe {name}"):
        load_recipe(name)


def test_a_recipe_that_is_there_but_no_text_is_not_called_missing(tmp_path):
    (tmp_path / "latin.toml").write_bytes("# Fr\xe9quence".encode("latin-1"))
    with pytest.raises(UsageError, match="not TOML"):
        load_recipe(str(tmp_path / "latin.toml"))
    with pytest.raises(UsageError, match="cannot be read"):
        load_recipe(str(tmp_path))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError):
        load_recipe(str(tmp_path / "binary.toml"))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(
    [f.name for f in dataclasses.fields(PretextConfig)] + ["tasks", "preset", "hidden", "x"]
)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["pretext", "supervised", "emotion"]),
        values | st.dictionaries(keys, values, max_size=5),
    )
)
def test_any_table_gives_a_recipe_or_a_usage_error(table):
    try:
        recipe = parse_recipe(table, "any")
    except UsageError:
        return
    if recipe.pretext is not None:
        assert type(recipe.pretext.steps) is int
        assert isinstance(recipe.pretext.l2, float)
        assert not math.isnan(recipe.pretext.steps)
