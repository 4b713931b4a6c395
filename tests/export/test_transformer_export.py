"""The ONNX files of a Transformer: the same function as PyTorch's, and an int8 one that stays close."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from edge_ecg.errors import DataError
from edge_ecg_export.transformer import is_transformer_run, quantised_onnx, transformer_encoders
from edge_ecg_export.transformer_graph import product_nodes, transformer_onnx
from edge_ecg_train.run_dir import RunDir
from edge_ecg_train.transformer.encoder_file import save_transformer
from edge_ecg_train.transformer.network import LITE, PoolingName, TransformerConfig, TransformerNetwork

Windows = NDArray[np.float32]
TINY = TransformerConfig(
    taps=(9, 5), channels=(8, 32), strides=(4, 4), layers=2, heads=2, feedforward=24, pooling="mean"
)


def made(config: TransformerConfig) -> TransformerNetwork:
    """Random weights; norms and biases too, which else would be ones and zeros and hide a mix-up."""
    torch.manual_seed(3)
    network = TransformerNetwork(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return network


def torch_says(network: TransformerNetwork, windows: Windows) -> Windows:
    with torch.inference_mode():
        said: Windows = network(torch.from_numpy(windows)).numpy()
    return said


def onnx_says(data: bytes, windows: Windows) -> Windows:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (given,), (out,) = session.get_inputs(), session.get_outputs()
    assert (given.shape[1:], out.shape[0]) == ([2560], given.shape[0])
    return np.asarray(session.run(None, {given.name: windows})[0], np.float32)


@pytest.mark.parametrize("pooling", ["cls", "mean", "mean-std"])
def test_fp32_is_the_same_function(windows: Windows, pooling: PoolingName) -> None:
    network = made(replace(TINY, pooling=pooling))
    data = transformer_onnx(network)
    expected = torch_says(network, windows)
    assert onnx_says(data, windows) == pytest.approx(expected, abs=2e-5)
    assert onnx_says(data, windows[:1]) == pytest.approx(expected[:1], abs=2e-5)


def test_lite_in_both_forms(windows: Windows) -> None:
    network = made(LITE)
    data = transformer_onnx(network)
    expected = torch_says(network, windows[:6])
    assert onnx_says(data, windows[:6]) == pytest.approx(expected, abs=5e-5)
    quantised = quantised_onnx(data, LITE, windows[8:24])
    said = onnx_says(quantised, windows[:6])
    cosine = (said * expected).sum(1) / np.linalg.norm(said, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosine.min() > 0.999
    assert not np.array_equal(said, expected)
    # A quarter of the weights' bytes; the filter, the norms and the first convolution are floats.
    assert len(quantised) < 0.32 * len(data)


def test_every_product_by_parameters_is_in_int8(windows: Windows) -> None:
    data = transformer_onnx(made(TINY))
    graph = onnx.load_from_string(quantised_onnx(data, TINY, windows[:8], float_nodes=())).graph
    dequantised = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    kinds = {one.name: one.data_type for one in graph.initializer}
    named = {node.name: node for node in graph.node}
    assert len(product_nodes(TINY)) == 2 + 2 * 6
    for name in product_nodes(TINY):
        weight = dequantised[named[name].input[1]]
        assert kinds[weight] == onnx.TensorProto.INT8
        assert named[name].input[0] in dequantised
    assert named["decimate"].input[1] not in dequantised
    assert named["layers.0.scores"].input[0] not in dequantised


def test_int8_of_a_window_does_not_depend_on_its_batch(windows: Windows) -> None:
    data = quantised_onnx(transformer_onnx(made(TINY)), TINY, windows[:8])
    alone = np.concatenate([onnx_says(data, windows[row : row + 1]) for row in range(6)])
    assert onnx_says(data, windows[:6]) == pytest.approx(alone, abs=1e-5)


def test_a_run(tmp_path: Path, windows: Windows) -> None:
    run = RunDir(tmp_path)
    assert not is_transformer_run(run)
    network = made(TINY)
    save_transformer(run.encoder, network)
    assert is_transformer_run(run)
    encoders = transformer_encoders(run, windows[:8])
    assert set(encoders) == {"onnx-fp32", "onnx-int8"}
    assert onnx_says(encoders["onnx-fp32"], windows) == pytest.approx(torch_says(network, windows), abs=2e-5)
    with pytest.raises(DataError, match="no windows"):
        transformer_encoders(run, windows[:0])


def test_the_runtime_multiplies_in_integers(tmp_path: Path, windows: Windows) -> None:
    """A convolution whose result is not rounded too, say, would silently run in float32."""
    data = quantised_onnx(transformer_onnx(made(TINY)), TINY, windows[:8])
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4  # it warns that such a file is for this machine only
    onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]
    assert kinds.count("QLinearConv") == 1  # of two, the first stays in float32
    assert kinds.count("Conv") == 2  # that one and the filter
    assert kinds.count("MatMulIntegerToFloat") == 12
    assert kinds.count("MatMul") == 4  # attention's own


@pytest.mark.slow  # PyTorch's exporter takes half a minute
@pytest.mark.filterwarnings("ignore")
def test_the_writer_against_pytorch_s_exporter(windows: Windows) -> None:
    pytest.importorskip("onnxscript")
    network = made(TINY)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # the exporter knows no fused layer
    try:
        program = torch.onnx.export(
            network, (torch.from_numpy(windows[:2]),), dynamo=True, opset_version=18, verbose=False
        )
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    assert program is not None
    stream = io.BytesIO()
    program.save(stream)
    theirs = onnx_says(stream.getvalue(), windows[:2])
    assert onnx_says(transformer_onnx(network), windows[:2]) == pytest.approx(theirs, abs=2e-5)
