"""Shared parts: a real (if untrained) bundle, a synthetic heart, a source made of blocks."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_ecg.bundle import EncoderSpec, Golden, InputSpec, Manifest, TaskSpec, write_bundle
from edge_ecg.heads import MlpHead
from edge_ecg.model import Model, load_model
from edge_ecg.samples import SampleBlock, SourceEvent, SourceInfo
from edge_ecg_bridge.synthetic import SyntheticEcg

# Table 1 of Sarkar & Etemad: (inputs, filters, taps), a max-pool after the second and the fourth.
CONVS = ((1, 32, 32), (32, 32, 32), (32, 64, 16), (64, 64, 16), (64, 128, 8), (128, 128, 8))


def encoder_onnx(seed: int = 0) -> bytes:
    """Table 1 with random weights, from the onnx package alone: independent of the project's own writer."""
    rng = np.random.default_rng(seed)
    nodes, weights = [], []

    def constant(name: str, values: NDArray[np.generic]) -> str:
        weights.append(numpy_helper.from_array(values, name))
        return name

    nodes.append(helper.make_node("Unsqueeze", ["window", constant("axes", np.array([1]))], ["x0"]))
    last = "x0"
    for index, (inputs, filters, taps) in enumerate(CONVS):
        bound = np.sqrt(6 / (taps * (inputs + filters)))
        weight = rng.uniform(-bound, bound, (filters, inputs, taps)).astype(np.float32)
        bias = rng.normal(0, 0.01, filters).astype(np.float32)
        names = [last, constant(f"w{index}", weight), constant(f"b{index}", bias)]
        pads = [(taps - 1) // 2, taps // 2]
        nodes.append(helper.make_node("Conv", names, [f"c{index}"], pads=pads))
        nodes.append(helper.make_node("LeakyRelu", [f"c{index}"], [f"r{index}"], alpha=0.2))
        last = f"r{index}"
        if index in (1, 3):
            nodes.append(helper.make_node("MaxPool", [last], [f"p{index}"], kernel_shape=[8], strides=[2]))
            last = f"p{index}"
    nodes.append(
        helper.make_node("ReduceMax", [last, constant("time", np.array([2]))], ["embedding"], keepdims=0)
    )
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, ["n", 2560])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 128])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def random_head(seed: int = 0, *, inputs: int = 128, outputs: int = 1) -> MlpHead:
    """A head with one hidden layer and random weights."""
    rng = np.random.default_rng(seed)
    return MlpHead(
        rng.normal(size=inputs),
        rng.uniform(0.5, 2.0, inputs),
        [rng.normal(0, 0.1, (inputs, 16)), rng.normal(0, 0.3, (16, outputs))],
        [rng.normal(0, 0.1, 16), rng.normal(0, 0.1, outputs)],
        temperature=1.5,
    )


def head_bytes(head: MlpHead) -> bytes:
    stream = io.BytesIO()
    head.save(stream)
    return stream.getvalue()


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    """Two tasks on one encoder, so that nothing can silently serve only the first."""
    return Manifest(
        name="untrained",
        version="0.0.1",
        created="2026-01-31T12:00:00Z",
        minimum_runtime="0.1.0",
        input=InputSpec(),
        encoder=EncoderSpec(),
        tasks={
            "stress": TaskSpec(("rest", "stress"), "heads/stress.npz"),
            "valence": TaskSpec(("low", "middle", "high"), "heads/valence.npz"),
        },
        engines={"onnx-fp32": "encoder.fp32.onnx"},
        training={"datasets": []},
        card={"note": "untrained"},
    )


@pytest.fixture(scope="session")
def bundle_files() -> dict[str, bytes]:
    """The files of the untrained bundle, golden windows included."""
    files = {
        "encoder.fp32.onnx": encoder_onnx(),
        "heads/stress.npz": head_bytes(random_head(1)),
        "heads/valence.npz": head_bytes(random_head(2, outputs=3)),
        "CARD.md": b"# Untrained\n",
    }
    import onnxruntime

    session = onnxruntime.InferenceSession(files["encoder.fp32.onnx"], providers=["CPUExecutionProvider"])
    windows = np.random.default_rng(3).normal(size=(4, 2560)).astype(np.float32)
    embeddings = session.run(None, {"window": windows})[0]
    golden = Golden(
        windows,
        {"onnx-fp32": embeddings},
        {
            "stress": random_head(1).probabilities(embeddings),
            "valence": random_head(2, outputs=3).probabilities(embeddings),
        },
    )
    return files | {"golden.npz": golden.to_bytes()}


@pytest.fixture(scope="session")
def bundle_path(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest, bundle_files: dict[str, bytes]
) -> Path:
    """The untrained bundle on disk."""
    path = tmp_path_factory.mktemp("bundle") / "untrained.ecgb"
    write_bundle(path, manifest, bundle_files)
    return path


@pytest.fixture(scope="session")
def model(bundle_path: Path) -> Model:
    """The untrained model, opened."""
    return load_model(bundle_path)


Heart = Callable[..., NDArray[np.float64]]


@pytest.fixture(scope="session")
def heart() -> Heart:
    """``heart(seconds, fs_hz, seed=0)``: synthetic ECG in millivolts."""

    def make(seconds: float, fs_hz: float, seed: int = 0) -> NDArray[np.float64]:
        parts: list[NDArray[np.float64]] = []
        wanted, have = round(seconds * fs_hz), 0
        for beat in SyntheticEcg(seed=seed)(fs_hz):
            parts.append(beat)
            have += len(beat)
            if have >= wanted:
                break
        return np.concatenate(parts)[:wanted]

    return make


class ListSource:
    """A source that plays a list; an exception in the list is raised when its turn comes."""

    def __init__(self, items: Iterable[SampleBlock | SourceEvent | BaseException], fs_hz: float) -> None:
        self.items = list(items)
        self.info = SourceInfo("list:", "list", fs_hz)
        self.closed = False

    def __iter__(self) -> Iterator[SampleBlock | SourceEvent]:
        for item in self.items:
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@pytest.fixture(scope="session")
def list_source() -> type[ListSource]:
    """The class, for tests that play their own blocks."""
    return ListSource


BlockCutter = Callable[..., list[SampleBlock]]


@pytest.fixture(scope="session")
def cut() -> BlockCutter:
    """``cut(ecg_mv, fs_hz, sizes)``: blocks of these sizes, the last repeated, numbered from 0."""

    def make(ecg_mv: NDArray[np.float64], fs_hz: float, sizes: Iterable[int] = (64,)) -> list[SampleBlock]:
        blocks: list[SampleBlock] = []
        at = 0
        left = iter(sizes)
        size = 1
        while at < len(ecg_mv):
            size = next(left, size)
            blocks.append(SampleBlock(ecg_mv[at : at + size], fs_hz, at, arrived_s=at / fs_hz))
            at += size
        return blocks

    return make
