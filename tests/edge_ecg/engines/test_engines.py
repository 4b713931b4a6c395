"""Every engine of the table: opened by the same call, checked against the golden windows."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_ecg.bundle import Golden, Manifest, bundle_bytes, read_bundle
from edge_ecg.engines import AUTO, ENGINES, RUNTIMES, engine_names, open_encoder
from edge_ecg.errors import BundleError, UsageError


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_bundle_under_test_has_every_engine_of_the_table(bundle_path: Path) -> None:
    """So that a new engine cannot be forgotten in the tests below."""
    assert set(read_bundle(bundle_path).manifest.engines) == set(ENGINES)


def test_an_engine_gives_its_golden_embeddings(engine: str, bundle_path: Path) -> None:
    bundle = read_bundle(bundle_path)
    golden = Golden.from_bundle(bundle)
    encoder = open_encoder(bundle, engine)
    assert encoder.name == engine
    found = encoder.embed(golden.windows)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, golden.embeddings[engine], rtol=1e-4, atol=1e-4)


def test_a_batch_is_the_same_as_one_by_one(engine: str, bundle_path: Path) -> None:
    bundle = read_bundle(bundle_path)
    windows = Golden.from_bundle(bundle).windows
    encoder = open_encoder(bundle, engine)
    one_by_one = np.concatenate([encoder.embed(window[np.newaxis]) for window in windows])
    np.testing.assert_allclose(encoder.embed(windows), one_by_one, rtol=1e-5, atol=1e-5)


def test_no_windows_give_no_embeddings(engine: str, bundle_path: Path) -> None:
    encoder = open_encoder(read_bundle(bundle_path), engine)
    assert encoder.embed(np.zeros((0, 2560))).shape == (0, encoder.embedding) == (0, 128)


def test_an_encoder_of_another_length_than_the_manifest_says_is_refused(
    engine: str, manifest: Manifest, bundle_files: dict[str, bytes]
) -> None:
    longer = replace(manifest, encoder=replace(manifest.encoder, embedding=384))
    bundle = read_bundle(io.BytesIO(bundle_bytes(longer, bundle_files)))
    with pytest.raises(BundleError, match="does not fit") as caught:
        open_encoder(bundle, engine)
    assert "128" in caught.value.why
    assert "384" in caught.value.why


@pytest.mark.parametrize("shape", [(2560,), (1, 2559), (1, 1, 2560)])
def test_windows_of_another_shape_are_refused(engine: str, bundle_path: Path, shape: tuple[int, ...]) -> None:
    encoder = open_encoder(read_bundle(bundle_path), engine)
    with pytest.raises(ValueError, match="shape"):
        encoder.embed(np.zeros(shape))


def test_windows_that_are_not_finite_are_refused(engine: str, bundle_path: Path) -> None:
    encoder = open_encoder(read_bundle(bundle_path), engine)
    windows = np.zeros((1, 2560))
    windows[0, 7] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        encoder.embed(windows)


def test_a_damaged_encoder_file_is_a_bundle_error(
    engine: str, bundle_path: Path, manifest: Manifest, bundle_files: dict[str, bytes]
) -> None:
    name = read_bundle(bundle_path).manifest.engines[engine]
    broken = bundle_bytes(manifest, bundle_files | {name: b"not a model at all"})
    with pytest.raises(BundleError, match="cannot load the encoder"):
        open_encoder(read_bundle(io.BytesIO(broken)), engine)


def test_loading_says_nothing_on_stderr(
    engine: str, bundle_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    encoder = open_encoder(read_bundle(bundle_path), engine)
    encoder.embed(np.zeros((1, 2560)))
    assert capfd.readouterr() == ("", "")


def test_auto_takes_the_first_of_the_table(bundle_path: Path) -> None:
    assert open_encoder(read_bundle(bundle_path), AUTO).name == next(iter(ENGINES)) == "litert-int8"


@pytest.mark.parametrize(("runtime", "name"), [("litert", "litert-int8"), ("onnx", "onnx-int8")])
def test_a_runtime_s_name_takes_its_int8(bundle_path: Path, runtime: str, name: str) -> None:
    assert open_encoder(read_bundle(bundle_path), runtime).name == name


def without_package(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Make imports of these packages fail as on a machine where they are not installed."""
    for runtime in RUNTIMES.values():
        monkeypatch.delitem(sys.modules, runtime.module, raising=False)
    for name in list(sys.modules):
        if name.split(".")[0] in packages:
            monkeypatch.delitem(sys.modules, name)
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)


def test_auto_goes_on_to_onnx_where_there_is_no_litert(
    monkeypatch: pytest.MonkeyPatch, bundle_path: Path
) -> None:
    without_package(monkeypatch, "ai_edge_litert", "tflite_runtime")
    assert open_encoder(read_bundle(bundle_path), AUTO).name == "onnx-int8"


@pytest.mark.parametrize(
    ("engine", "packages", "command"),
    [
        ("litert", ("ai_edge_litert", "tflite_runtime"), "pip install ai-edge-litert"),
        ("onnx", ("onnxruntime",), "pip install 'edge-ecg[onnx]'"),
        (AUTO, ("ai_edge_litert", "tflite_runtime", "onnxruntime"), "ai-edge-litert or pip install"),
    ],
)
def test_a_missing_package_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, bundle_path: Path, engine: str, packages: tuple[str, ...], command: str
) -> None:
    without_package(monkeypatch, *packages)
    with pytest.raises(UsageError) as caught:
        open_encoder(read_bundle(bundle_path), engine)
    assert command in caught.value.remedy


def test_an_unknown_engine_is_a_usage_error_that_lists_the_known(bundle_path: Path) -> None:
    with pytest.raises(UsageError, match="no engine 'tensorrt'") as caught:
        open_encoder(read_bundle(bundle_path), "tensorrt")
    assert all(name in caught.value.remedy for name in engine_names())


def test_a_bundle_without_the_engine_s_file_says_what_it_has(
    manifest: Manifest, bundle_files: dict[str, bytes]
) -> None:
    only = replace(manifest, engines={"onnx-fp32": manifest.engines["onnx-fp32"]})
    bundle = read_bundle(io.BytesIO(bundle_bytes(only, bundle_files)))
    with pytest.raises(BundleError, match="holds no encoder for the engine 'litert'") as caught:
        open_encoder(bundle, "litert")
    assert "onnx-fp32" in caught.value.why
