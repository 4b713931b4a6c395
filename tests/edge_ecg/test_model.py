"""The model: one encoder pass, all heads; what does not fit is refused when it is loaded."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import edge_ecg
from edge_ecg.bundle import Golden, Manifest, TaskSpec, bundle_bytes, read_bundle, write_bundle
from edge_ecg.errors import BundleError
from edge_ecg.heads import MlpHead, interval_features
from edge_ecg.model import Model, bundled, load_model

Heart = Callable[..., NDArray[np.float64]]


def random_head(seed: int, inputs: int) -> MlpHead:
    rng = np.random.default_rng(seed)
    return MlpHead(
        rng.normal(size=inputs), rng.uniform(0.5, 2, inputs), [rng.normal(0, 0.05, (inputs, 1))], [[0.1]]
    )


def saved(head: MlpHead) -> bytes:
    stream = io.BytesIO()
    head.save(stream)
    return stream.getvalue()


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
    data = bundle_bytes(manifest, bundle_files | {"heads/stress.npz": saved(random_head(0, inputs=64))})
    with pytest.raises(BundleError, match="does not fit"):
        load_model(io.BytesIO(data))


@pytest.fixture(scope="module")
def with_features(manifest: Manifest, bundle_files: dict[str, bytes]) -> bytes:
    """One task with interval features and a personal head, one as before."""
    task = TaskSpec(
        ("rest", "stress"),
        "heads/stress.npz",
        features=("log_sdnn", "heart_rate_bpm"),
        personal_head="heads/stress.personal.npz",
        personal_features=("log_rmssd_change", "heart_rate_z", "log_sdnn_change"),
    )
    heads = {
        "heads/stress.npz": saved(random_head(5, inputs=130)),
        "heads/stress.personal.npz": saved(random_head(6, inputs=131)),
    }
    spec = replace(manifest, tasks={**manifest.tasks, "stress": task})
    return bundle_bytes(spec, bundle_files | heads)


def test_interval_features_stand_behind_the_embedding(with_features: bytes, heart: Heart) -> None:
    model = load_model(io.BytesIO(with_features))
    windows = np.stack([heart(10, 256.0), np.zeros(2560)]).astype(np.float32)
    embeddings = model.embed(windows)
    inputs = model.head_inputs("stress", embeddings, windows)
    assert inputs.shape == (2, 130)
    np.testing.assert_array_equal(inputs[:, :128], embeddings)
    expected = interval_features(windows[0], ["heart_rate_bpm", "log_sdnn"])
    assert inputs[0, 128:] == pytest.approx(expected[::-1])
    assert np.isnan(inputs[1, 128:]).all()
    np.testing.assert_array_equal(model.head_inputs("valence", embeddings, windows), embeddings)

    found = model.predict(windows)
    np.testing.assert_array_equal(found["stress"], random_head(5, inputs=130).probabilities(inputs))
    assert np.isfinite(found["stress"]).all()


def test_a_known_person_is_seen_relative_to_the_baseline(with_features: bytes, heart: Heart) -> None:
    model = load_model(io.BytesIO(with_features))
    assert set(model.personal_heads) == {"stress"}
    windows = np.stack([heart(10, 256.0), heart(10, 256.0, seed=4)]).astype(np.float32)
    embeddings = model.embed(windows)
    sources = interval_features(windows[0], ["heart_rate_bpm", "sdnn_ms", "rmssd_ms"])
    inputs = model.personal_inputs("stress", embeddings, windows, embeddings[0], sources)
    assert inputs.shape == (2, 131)
    assert not inputs[0].any()
    np.testing.assert_array_equal(inputs[1, :128], embeddings[1] - embeddings[0])
    rate, log_sdnn, log_rmssd = interval_features(windows[1], ["heart_rate_bpm", "log_sdnn", "log_rmssd"])
    assert inputs[1, 128] == pytest.approx(log_rmssd - np.log(sources[2]), rel=1e-4)
    assert inputs[1, 130] == pytest.approx(log_sdnn - np.log(sources[1]), rel=1e-4)
    assert np.sign(inputs[1, 129]) == np.sign(rate - sources[0])
    expected = random_head(6, inputs=131).probabilities(inputs)
    np.testing.assert_array_equal(model.personal_heads["stress"].probabilities(inputs), expected)


def test_features_need_their_windows(with_features: bytes) -> None:
    model = load_model(io.BytesIO(with_features))
    embeddings = np.zeros((2, 128))
    for windows in (None, np.zeros((1, 2560))):
        with pytest.raises(ValueError, match="the task 'stress' needs the window of each embedding"):
            model.decide(embeddings, windows)


@pytest.mark.parametrize(("file", "inputs"), [("heads/stress.npz", 130), ("heads/stress.personal.npz", 131)])
def test_a_head_without_room_for_the_features_is_refused(
    with_features: bytes, file: str, inputs: int
) -> None:
    bundle = read_bundle(io.BytesIO(with_features))
    files = {**bundle.contents, file: saved(random_head(5, inputs=128))}
    with pytest.raises(BundleError, match="does not fit") as caught:
        load_model(io.BytesIO(bundle_bytes(bundle.manifest, files)))
    assert f"{file} maps 128 values" in caught.value.why
    assert str(inputs) in caught.value.why


def test_a_feature_of_a_newer_version_is_named(manifest: Manifest, bundle_files: dict[str, bytes]) -> None:
    task = TaskSpec(("rest", "stress"), "heads/stress.npz", personal_head="heads/stress.npz")
    for field in ("features", "personal_features"):
        spec = replace(task, **{field: ("phase_of_the_moon",)})
        data = bundle_bytes(replace(manifest, tasks={"stress": spec}), bundle_files)
        with pytest.raises(BundleError, match="needs phase_of_the_moon") as caught:
            load_model(io.BytesIO(data))
        assert "--upgrade" in caught.value.remedy


def test_the_bundled_model_of_before_still_runs(heart: Heart) -> None:
    model = load_model()
    for window in (heart(10, 256.0), -heart(10, 256.0, seed=3)):
        for values in model.predict(window[None].astype(np.float32)).values():
            assert values.sum() == pytest.approx(1.0)


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
