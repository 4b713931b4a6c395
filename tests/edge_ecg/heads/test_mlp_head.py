"""The numpy head against torch in float64, and against files that are no heads."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg.errors import BundleError
from edge_ecg.heads import MlpHead


def make(seed: int, widths: list[int], temperature: float) -> MlpHead:
    rng = np.random.default_rng(seed)
    pairs = list(itertools.pairwise(widths))
    return MlpHead(
        rng.normal(size=widths[0]),
        rng.uniform(0.2, 3, widths[0]),
        [rng.normal(size=pair) / np.sqrt(pair[0]) for pair in pairs],
        [rng.normal(size=pair[1]) for pair in pairs],
        temperature,
    )


def by_torch(head: MlpHead, embeddings: np.ndarray) -> np.ndarray:
    """The same function in torch's own layers, float64."""
    x = (torch.tensor(embeddings, dtype=torch.float64) - torch.tensor(head.mean)) / torch.tensor(head.scale)
    for index, (weight, bias) in enumerate(zip(head.weights, head.biases, strict=True)):
        layer = torch.nn.functional.linear(x, torch.tensor(weight).double().T, torch.tensor(bias).double())
        x = torch.relu(layer) if index < len(head.weights) - 1 else layer
    x = x / head.temperature
    if x.shape[1] == 1:
        second = torch.sigmoid(x)
        return torch.cat([1 - second, second], dim=1).numpy()
    return torch.softmax(x, dim=1).numpy()


@pytest.mark.parametrize("widths", [[128, 1], [128, 64, 1], [128, 4], [128, 64, 32, 3]])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_probabilities_equal_torch(widths: list[int], temperature: float) -> None:
    head = make(0, widths, temperature)
    embeddings = np.random.default_rng(1).normal(0, 4, (50, 128)).astype(np.float32)
    found = head.probabilities(embeddings)
    assert found.shape == (50, head.classes)
    np.testing.assert_allclose(found, by_torch(head, embeddings), atol=2e-6)


def test_extreme_logits_give_certainty_and_no_overflow() -> None:
    head = MlpHead([0.0], [1.0], [[[1.0]]], [[0.0]])
    found = head.probabilities([[1e6], [-1e6], [0.0]])
    np.testing.assert_array_equal(found, [[0, 1], [1, 0], [0.5, 0.5]])


def test_an_input_that_is_missing_counts_as_its_mean() -> None:
    head = make(0, [6, 5, 3], 1.5)
    inputs = np.random.default_rng(2).normal(size=(4, 6)).astype(np.float32)
    filled = inputs.copy()
    inputs[1:, 4], inputs[2:, 0] = np.nan, np.nan
    filled[1:, 4], filled[2:, 0] = head.mean[4], head.mean[0]
    np.testing.assert_allclose(head.probabilities(inputs), by_torch(head, filled), atol=2e-6)


@given(st.integers(0, 1000), st.lists(st.integers(1, 9), min_size=2, max_size=4))
def test_saving_and_loading_keeps_every_bit(seed: int, widths: list[int]) -> None:
    head = make(seed, widths, 0.7)
    stream = io.BytesIO()
    head.save(stream)
    stream.seek(0)
    again = MlpHead.load(stream)
    embeddings = np.random.default_rng(seed).normal(size=(3, widths[0]))
    np.testing.assert_array_equal(head.probabilities(embeddings), again.probabilities(embeddings))


def test_a_saved_head_has_the_arrays_of_the_format(tmp_path: Path) -> None:
    path = tmp_path / "head.npz"
    make(0, [128, 64, 1], 1.0).save(path)
    with np.load(path, allow_pickle=False) as arrays:
        assert set(arrays.files) == {"mean", "scale", "w0", "b0", "w1", "b1", "temperature"}
        assert arrays["w0"].shape == (128, 64)
        assert arrays["temperature"].shape == ()


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    head = make(0, [128, 1], 1.0)
    head.save(tmp_path / "a.npz")
    head.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"w0": np.zeros((4, 1))}, "layer 0"),
        ({"b0": np.zeros(2)}, "layer 0"),
        ({"scale": np.zeros(3)}, "positive"),
        ({"scale": np.array([1.0, np.nan, 1.0])}, "not finite"),
        ({"temperature": np.array(0.0)}, "positive"),
        ({"w7": np.zeros((3, 1))}, "holds the arrays"),
        ({"mean": np.zeros((3, 1))}, "one vector each"),
        ({"mean": np.array([object()], dtype=object)}, "plain numbers"),
    ],
)
def test_a_file_that_is_no_head_is_refused(change: dict[str, np.ndarray], sentence: str) -> None:
    arrays = {
        "mean": np.zeros(3),
        "scale": np.ones(3),
        "w0": np.zeros((3, 1)),
        "b0": np.zeros(1),
        "temperature": np.array(1.0),
    }
    stream = io.BytesIO()
    np.savez(stream, **(arrays | change))
    stream.seek(0)
    with pytest.raises(BundleError, match=sentence):
        MlpHead.load(stream)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(BundleError):
        MlpHead.load(io.BytesIO(data))


def test_any_flipped_byte_is_refused_or_harmless() -> None:
    stream = io.BytesIO()
    make(0, [5, 1], 1.0).save(stream)
    data = stream.getvalue()
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 0x10
        try:
            MlpHead.load(io.BytesIO(bytes(broken)))
        except BundleError:
            continue
