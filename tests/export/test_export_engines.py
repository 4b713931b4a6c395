"""The written files in their engines: int8 ones agree to the bit, float ones with PyTorch."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edge_ecg_export.calibrate import Calibration, calibrate
from edge_ecg_export.graph import Trunk, make_trunk
from edge_ecg_export.onnx_writer import fp32_onnx, int8_onnx
from edge_ecg_export.quantise import quantise
from edge_ecg_export.quantised import QConv, QLeaky, QuantisedTrunk
from edge_ecg_export.reference import float_embedding, int8_embedding
from edge_ecg_export.tflite_writer import fp32_tflite, int8_tflite
from edge_ecg_train.checkpoint import load_encoder
from edge_ecg_train.networks import Trunk as TorchTrunk

Windows = NDArray[np.float32]


@pytest.fixture(scope="module", params=["max", "max-mean-std"])
def encoder_arrays(
    request: pytest.FixtureRequest, arrays: dict[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Table 1, and the form that is trained now."""
    padding = "same" if request.param == "max" else "valid"
    return arrays | {"padding": np.array(padding), "pooling": np.array(request.param)}


@pytest.fixture(scope="module")
def trunk(encoder_arrays: dict[str, NDArray[Any]]) -> Trunk:
    return make_trunk(encoder_arrays)


@pytest.fixture(scope="module")
def calibration(trunk: Trunk, windows: Windows) -> Calibration:
    return calibrate(trunk, windows)


@pytest.fixture(scope="module", params=[0, 2, 4], ids=["all-int8", "float-block", "float-blocks"])
def quantised(request: pytest.FixtureRequest, trunk: Trunk, calibration: Calibration) -> QuantisedTrunk:
    return quantise(trunk, calibration, request.param)


@pytest.fixture(scope="module")
def torch_trunk(
    tmp_path_factory: pytest.TempPathFactory, encoder_arrays: dict[str, NDArray[Any]]
) -> TorchTrunk:
    path = tmp_path_factory.mktemp("torch") / "encoder.npz"
    np.savez(path, **encoder_arrays)
    return load_encoder(path).eval()


def onnx_embed(model: bytes, windows: Windows) -> Windows:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"window": windows})[0])


def litert_embed(model: bytes, windows: Windows) -> Windows:
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    given, made = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    rows = []
    for window in windows:
        interpreter.set_tensor(given, window[np.newaxis])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(made).copy())
    return np.concatenate(rows)


def torch_embed(trunk: TorchTrunk, windows: Windows) -> Windows:
    with torch.no_grad():
        return trunk(torch.from_numpy(windows)).numpy()


def cosines(a: Windows, b: Windows) -> NDArray[np.float64]:
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a.astype(np.float64) * b).sum(axis=1) / norms


def awkward_windows(windows: Windows) -> dict[str, Windows]:
    """What could round, saturate or tie differently in two engines."""
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(150, 2560))
    # The coarse digit has steps of 1/8, the finest of 1/256; all of these lie on a half step of one of them.
    halves = [rng.integers(-300, 300, (20, 2560)) / parts for parts in (16.0, 512.0, 8192.0)]
    extremes = rng.choice([-1e4, -16.0, -15.9375, 0.0, 15.875, 15.9375, 16.0, 1e4], size=(20, 2560))
    constants = np.outer([0.0, -0.0, 1e-30, 0.0625, -0.0625, 1.0, -7.3, 16.0, -17.0, 1e6], np.ones(2560))
    step = np.where(np.arange(2560) < 1280, -40.0, 40.0)[None]
    return {
        "ecg": windows,
        "scaled": windows * rng.uniform(-4, 4, (len(windows), 1)).astype(np.float32),
        "noise": (noise * 10.0 ** rng.uniform(-3, 2, (150, 1))).astype(np.float32),
        "half steps": np.concatenate(halves).astype(np.float32),
        "extremes": extremes.astype(np.float32),
        "constants": np.concatenate([constants, step]).astype(np.float32),
    }


def test_int8_files_agree_to_the_bit(quantised: QuantisedTrunk, windows: Windows) -> None:
    onnx_file, tflite_file = int8_onnx(quantised), int8_tflite(quantised)
    kinds = awkward_windows(windows)
    assert sum(len(some) for some in kinds.values()) >= 200
    for kind, some in kinds.items():
        ours, theirs = onnx_embed(onnx_file, some), litert_embed(tflite_file, some)
        assert np.isfinite(ours).all(), kind
        np.testing.assert_array_equal(ours, theirs, err_msg=kind)
    # A file that ignores its input would agree with itself, too.
    assert len(np.unique(litert_embed(tflite_file, windows), axis=0)) == len(windows)


def test_int8_files_are_the_reference_to_the_bit(quantised: QuantisedTrunk, windows: Windows) -> None:
    kinds = awkward_windows(windows).values()
    some = np.concatenate([each[-2:] for each in kinds])
    assert len(some) >= 10
    expected = int8_embedding(quantised, some)
    np.testing.assert_array_equal(litert_embed(int8_tflite(quantised), some), expected)
    np.testing.assert_array_equal(onnx_embed(int8_onnx(quantised), some), expected)


def test_int8_file_is_close_to_pytorch(
    quantised: QuantisedTrunk, torch_trunk: TorchTrunk, windows: Windows
) -> None:
    ours, theirs = litert_embed(int8_tflite(quantised), windows), torch_embed(torch_trunk, windows)
    assert cosines(ours, theirs).min() > 0.99


def test_fp32_files_are_pytorch(trunk: Trunk, torch_trunk: TorchTrunk, windows: Windows) -> None:
    expected = torch_embed(torch_trunk, windows)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(onnx_embed(fp32_onnx(trunk), windows), expected, atol=1e-4, rtol=0)
    np.testing.assert_allclose(litert_embed(fp32_tflite(trunk), windows), expected, atol=1e-4, rtol=0)


def test_fp32_onnx_is_what_torch_exports(
    trunk: Trunk, torch_trunk: TorchTrunk, windows: Windows, tmp_path: Path
) -> None:
    path = tmp_path / "torch.onnx"
    with warnings.catch_warnings():
        # torch's exporter meets its own and onnxscript's deprecations; they are not ours to repair.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        torch.onnx.export(
            torch_trunk, (torch.from_numpy(windows[:2]),), path, dynamo=True, verbose=False,
            input_names=["window"], external_data=False,
        )  # fmt: skip
    theirs = onnx_embed(path.read_bytes(), windows[:2])
    np.testing.assert_allclose(onnx_embed(fp32_onnx(trunk), windows[:2]), theirs, atol=1e-4, rtol=0)


def test_onnx_runtime_computes_every_int8_layer_in_int8(quantised: QuantisedTrunk, tmp_path: Path) -> None:
    """A convolution that it cannot fuse it computes in float32, slowly, and rounds ties its own way."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    options.log_severity_level = 3  # it warns that such a file is for this machine only
    onnxruntime.InferenceSession(int8_onnx(quantised), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]
    assert kinds.count("QLinearConv") == sum(isinstance(step, QConv) for step in quantised.steps)
    assert kinds.count("QLinearLeakyRelu") == sum(isinstance(step, QLeaky) for step in quantised.steps)


def test_onnx_files_are_valid(trunk: Trunk, quantised: QuantisedTrunk) -> None:
    for model in (fp32_onnx(trunk), int8_onnx(quantised)):
        onnx.checker.check_model(onnx.load(io.BytesIO(model)), full_check=True)


def test_batch_is_its_windows(trunk: Trunk, quantised: QuantisedTrunk, windows: Windows) -> None:
    some = windows[:5]
    for model, tolerance in ((fp32_onnx(trunk), 1e-5), (int8_onnx(quantised), 0.0)):
        single = np.concatenate([onnx_embed(model, window[None]) for window in some])
        np.testing.assert_allclose(onnx_embed(model, some), single, atol=tolerance, rtol=0)


def test_int8_file_in_tflite_micro(quantised: QuantisedTrunk, trunk: Trunk, windows: Windows) -> None:
    """Microcontrollers' kernels requantise in fixed point.

    Single int8 values differ by a step, and those differences add up over six layers: features end up to 22
    steps apart. What holds: such noise is as good as the other engines', with a hardly larger distance from
    PyTorch's result (measured: cosine with LiteRT 0.99995, 1.02 to 1.19 times its distance).
    """
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    model = int8_tflite(quantised)
    interpreter = runtime.Interpreter.from_bytes(model)
    some = windows[[0, 2]]
    micro = []
    for window in some:
        interpreter.set_input(window[np.newaxis], 0)
        interpreter.invoke()
        micro.append(interpreter.get_output(0)[0].copy())
    ours, litert = np.array(micro), litert_embed(model, some)
    assert cosines(ours, litert).min() > 0.9999
    exact = float_embedding(trunk, some)
    distance = np.linalg.norm(ours - exact, axis=1) / np.linalg.norm(litert - exact, axis=1)
    assert distance.max() < 1.5
