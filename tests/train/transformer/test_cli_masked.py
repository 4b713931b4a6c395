"""``edge-ecg train pretext`` with a recipe for masked pretraining, and what follows it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from edge_ecg.cli import main
from edge_ecg.errors import UsageError
from edge_ecg_train.recipe import load_recipe, parse_recipe
from edge_ecg_train.run_dir import RunDir
from edge_ecg_train.store import WindowStore
from edge_ecg_train.store_writer import StoreWriter, WindowMeta
from edge_ecg_train.transformer.encoder_file import load_transformer
from edge_ecg_train.transformer.finetune import FinetuneConfig
from edge_ecg_train.transformer.masked import MaskedConfig
from edge_ecg_train.transformer.network import FULL, LITE, TransformerConfig

RECIPE = """
[transformer]
preset = "lite"
channels = [4, 8, 16]
strides = [4, 4, 2]
layers = 1
feedforward = 8
[masked]
steps = 3
batch_windows = 2
holdout = 0.25
evaluation_windows = 2
evaluate_every = 2
[finetune]
epochs = 2
batch_windows = 12
hidden = [8]
[emotion]
preset = "linear"
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, beats) -> WindowStore:
    with StoreWriter(tmp_path_factory.mktemp("store") / "windows") as writer:
        for row, window in enumerate(beats.windows):
            labels = {"stress": int(beats.labels[row])}
            meta = WindowMeta("made-up", beats.subject[row], "a", "I", 10.0 * row, 60.0, 1.0, labels)
            writer.append(window, meta)
        return writer.commit(
            preprocessing={"highpass_hz": 0.8},
            labels={"stress": ("rest", "stress")},
            datasets=[{"name": "made-up"}],
            windowing={"hop_s": 10.0},
        )


def test_pretext_then_head(tmp_path: Path, store, capsys):
    recipe, run = tmp_path / "mine.toml", tmp_path / "run"
    recipe.write_text(RECIPE)
    flags = ["--recipe", str(recipe), "--device", "cpu", "--threads", "1", "--json"]
    assert main(["train", "pretext", str(store.path), "-o", str(run), *flags]) == 0
    captured = capsys.readouterr()
    (line,) = captured.out.splitlines()
    said = json.loads(line)
    assert (said["stage"], said["task"], said["steps"]) == ("pretext", "masked samples", 3)
    assert "of the masked samples' power explained (straight lines" in captured.err
    facts = RunDir(run).read_json()
    assert facts["encoder"]["architecture"] == "transformer"
    network = load_transformer(RunDir(run).encoder)
    assert facts["encoder"]["parameters"] == sum(one.numel() for one in network.parameters())

    assert main(["train", "emotion", str(run), str(store.path), *flags]) == 0
    with np.load(run / "heads" / "stress.npz") as head:
        assert head["w0"].shape == (16, 1)
    assert json.loads(capsys.readouterr().out)["task"] == "stress"

    assert main(["train", "pretext", str(store.path), "-o", str(run), *flags]) == 5  # without --resume
    assert main(["train", "pretext", str(store.path), "-o", str(run), *flags, "--resume"]) == 0
    capsys.readouterr()

    # Fine-tuned from it: a run of the same form, whose head reads CLS.
    tuned = tmp_path / "tuned"
    words = ["train", "supervised", str(store.path), "-o", str(tuned), "--start", str(run), *flags]
    assert main(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["pretrained"], said["steps"], said["people"]) == (True, 4, 4)
    assert load_transformer(RunDir(tuned).encoder).config.pooling == "cls"
    facts = RunDir(tuned).read_json()
    assert facts["tasks"] == {"stress": {"labels": ["rest", "stress"]}}
    assert facts["pretext"]["task"] == "masked samples"
    with np.load(tuned / "heads" / "stress.npz") as head:
        assert head["w0"].shape == (16, 8)
    assert main(["train", "supervised", str(store.path), "-o", str(tmp_path / "s"), "--start", str(run)]) == 2
    assert "has no [finetune]" in capsys.readouterr().err


def test_the_paper_s_recipe_has_its_constants():
    recipe = load_recipe("transformer")
    assert isinstance(recipe.pretext, MaskedConfig)
    assert recipe.pretext.network == FULL == TransformerConfig()
    masked = recipe.pretext
    assert (masked.batch_windows, masked.learning_rate, masked.weight_decay) == (128, 1e-3, 0.005)
    assert (masked.span_probability, masked.span_samples) == (0.0325, 20)
    per_epoch = -(-83_401 // 128)
    assert masked.steps == 500 * per_epoch
    assert masked.warmup_steps == 30 * per_epoch
    assert recipe.finetune == FinetuneConfig()


def test_the_lite_recipe():
    recipe = load_recipe("transformer-lite")
    assert isinstance(recipe.pretext, MaskedConfig)
    assert recipe.pretext.network.macs() == LITE.macs()
    assert recipe.transformer == recipe.pretext.network


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[masked]\nsteps = 1\n[pretext]\nsteps = 1", "both [pretext] and [masked]"),
        ("[masked]\nsteps = 1\n[masked.network]\nlayers = 2", "Put it in [transformer]"),
        ("[masked]\nbatch_windows = 1", "lacks steps"),
        ("[transformer]\npreset = 'light'", "Did you mean 'lite'"),
        ("[transformer]\nlayer = 3", "Did you mean 'layers'"),
        ("[transformer]\ntaps = [8, 8, 8]", "must be odd"),
        ("[transformer]\npooling = 'max'", "'cls' or 'mean'"),
        ("[finetune]\nepoch = 3", "Did you mean 'epochs'"),
    ],
)
def test_mistakes_are_named(text, said):
    with pytest.raises(UsageError) as caught:
        parse_recipe(tomllib.loads(text), "mine")
    assert said in str(caught.value)
