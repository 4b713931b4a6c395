"""The model: one encoder pass, all heads; what does not fit is refused when it is loaded."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edge_ecg
from edge_ecg.bundle import Golden, Manifest, TaskSpec, bundle_bytes, read_bundle, write_bundle
from edge_ecg.errors import BundleError
from edge_ecg.heads import MlpHead
from edge_ecg.model import Model, bundled, load_model


def test_all_tasks_are_answered_from_one_encoder_pass(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = Golden.from_bundle(model.bundle)
    passes = []
    embed = model.encoder.embed
    monkeypatch.setattr(model.encoder, "embed", lambda windows: passes.append(len(windows)) or embed(windows))
    found = model.predict(golden.windows)
    assert passes == [len(golden.windows)]
    assert {task: values.shape for task, values in found.items()} == {"stress": (4, 2), "valence": (4, 3)}


@pytest.mark.parametrize("engine", ["litert-int8", "onnx-int8", "litert-fp32", "onnx-fp32"])
def test_probabilities_are_the_golden_ones(engine: str, bundle_path: Path) -> None:
    model = load_model(bundle_path, engine)
    golden = Golden.from_bundle(model.bundle)
    assert model.engine == engine
    # They were made with the fp32 encoder; int8 is allowed what quantisation of a random network costs.
    bound = 1e-5 if engine.endswith("fp32") else 0.02
    for task, found in model.predict(golden.windows).items():
        np.testing.assert_allclose(found, golden.probabilities[task], atol=bound)


def test_embed_is_what_the_heads_see(model: Model) -> None:
    windows = Golden.from_bundle(model.bundle).windows
    embeddings = model.embed(windows)
    assert embeddings.shape == (4, 128)
    np.testing.assert_array_equal(model.decide(embeddings)["stress"], model.predict(windows)["stress"])


def test_a_model_is_named_after_its_manifest(model: Model, bundle_path: Path) -> None:
    assert model.name_at_sha == read_bundle(bundle_path).name_at_sha
    assert model.name_at_sha.startswith("untrained@")
    assert len(model.name_at_sha.partition("@")[2]) == 12


def test_a_head_that_does_not_fit_the_labels_is_refused(
    manifest: Manifest, bundle_files: dict[str, bytes]
) -> None:
    tasks = {"stress": TaskSpec(("low", "middle", "high"), "heads/stress.npz")}
    data = bundle_bytes(replace(manifest, tasks=tasks), bundle_files)
    with pytest.raises(BundleError, match=r"head of the task 'stress' .* does not fit"):
        load_model(io.BytesIO(data))


def test_a_head_of_another_width_is_refused(manifest: Manifest, bundle_files: dict[str, bytes]) -> None:
    stream = io.BytesIO()
    MlpHead(np.zeros(64), np.ones(64), [np.zeros((64, 1))], [np.zeros(1)]).save(stream)
    data = bundle_bytes(manifest, bundle_files | {"heads/stress.npz": stream.getvalue()})
    with pytest.raises(BundleError, match="does not fit"):
        load_model(io.BytesIO(data))


def test_without_a_path_it_is_the_model_that_comes_along(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, manifest: Manifest, bundle_files: dict[str, bytes]
) -> None:
    monkeypatch.setattr("edge_ecg.model.files", lambda package: tmp_path)
    (tmp_path / "models").mkdir()
    with pytest.raises(BundleError, match="without a model") as caught:
        bundled()
    assert "--model" in caught.value.remedy
    write_bundle(tmp_path / "models" / "stress.ecgb", manifest, bundle_files)
    assert edge_ecg.load_model().name_at_sha.startswith("untrained@")
