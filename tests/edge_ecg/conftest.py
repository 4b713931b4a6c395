"""Shared parts: a real (if untrained) bundle, a synthetic heart, a source made of blocks."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edge_ecg.bundle import EncoderSpec, Golden, InputSpec, Manifest, TaskSpec, write_bundle
from edge_ecg.heads import MlpHead
from edge_ecg.model import Model, load_model
from edge_ecg.samples import SampleBlock, SourceEvent, SourceInfo
from edge_ecg_bridge.synthetic import SyntheticEcg
from edge_ecg_export.calibrate import calibrate
from edge_ecg_export.graph import Trunk, make_trunk
from edge_ecg_export.onnx_writer import fp32_onnx, int8_onnx
from edge_ecg_export.quantise import quantise
from edge_ecg_export.tflite_writer import fp32_tflite, int8_tflite

# Table 1 of Sarkar & Etemad: (inputs, filters, taps).
CONVS = ((1, 32, 32), (32, 32, 32), (32, 64, 16), (64, 64, 16), (64, 128, 8), (128, 128, 8))


def random_trunk(seed: int = 0) -> Trunk:
    """Table 1 with random weights."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, NDArray[np.float32]] = {}
    for index, (inputs, filters, taps) in enumerate(CONVS, start=1):
        bound = np.sqrt(6 / (taps * (inputs + filters)))
        arrays[f"conv{index}.weight"] = rng.uniform(-bound, bound, (filters, inputs, taps)).astype(np.float32)
        arrays[f"conv{index}.bias"] = rng.normal(0, 0.01, filters).astype(np.float32)
    return make_trunk(arrays)


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
            "valence": TaskSpec(("low", "middle", "high"), "heads/valence.npz", min_confidence=0.0),
        },
        engines={
            "litert-int8": "encoder.int8.tflite",
            "onnx-int8": "encoder.int8.onnx",
            "litert-fp32": "encoder.fp32.tflite",
            "onnx-fp32": "encoder.fp32.onnx",
        },
        training={"datasets": []},
        card={"note": "untrained"},
    )


@pytest.fixture(scope="session")
def bundle_files(manifest: Manifest) -> dict[str, bytes]:
    """The files of the untrained bundle, golden windows included."""
    windows = np.random.default_rng(3).normal(size=(4, 2560)).astype(np.float32)
    trunk = random_trunk()
    quantised = quantise(trunk, calibrate(trunk, windows))
    files = {
        "encoder.fp32.onnx": fp32_onnx(trunk),
        "encoder.int8.onnx": int8_onnx(quantised),
        "encoder.fp32.tflite": fp32_tflite(trunk),
        "encoder.int8.tflite": int8_tflite(quantised),
        "heads/stress.npz": head_bytes(random_head(1)),
        "heads/valence.npz": head_bytes(random_head(2, outputs=3)),
        "CARD.md": b"# Untrained\n",
    }
    embeddings = {name: _golden(files[file], windows) for name, file in manifest.engines.items()}
    golden = Golden(
        windows,
        embeddings,
        {
            "stress": random_head(1).probabilities(embeddings["onnx-fp32"]),
            "valence": random_head(2, outputs=3).probabilities(embeddings["onnx-fp32"]),
        },
    )
    return files | {"golden.npz": golden.to_bytes()}


def _golden(model: bytes, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embed with the runtimes themselves, not with the project's engines."""
    if model[4:8] == b"TFL3":
        interpreter = Interpreter(model_content=model, num_threads=1)
        interpreter.allocate_tensors()
        rows = []
        for window in windows:
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], window[np.newaxis])
            interpreter.invoke()
            rows.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
        return np.concatenate(rows)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"window": windows})[0])


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


@pytest.fixture(scope="session")
def personal_bundle_path(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest, bundle_files: dict[str, bytes]
) -> Path:
    """As ``bundle_path``, but ``stress`` sees interval features and has a personal head."""
    task = TaskSpec(
        ("rest", "stress"),
        "heads/stress.npz",
        features=("log_heart_rate", "log_sdnn"),
        personal_head="heads/stress.personal.npz",
        personal_features=("heart_rate_z", "log_sdnn_change", "log_rmssd_change"),
    )
    heads = {
        "heads/stress.npz": head_bytes(random_head(5, inputs=128 + 2)),
        "heads/stress.personal.npz": head_bytes(random_head(6, inputs=128 + 3)),
    }
    path = tmp_path_factory.mktemp("bundle") / "personal.ecgb"
    spec = replace(manifest, name="personal", tasks={**manifest.tasks, "stress": task})
    write_bundle(path, spec, bundle_files | heads)
    return path


@pytest.fixture(scope="session")
def personal_model(personal_bundle_path: Path) -> Model:
    """The untrained model with a personal head, opened."""
    return load_model(personal_bundle_path)
