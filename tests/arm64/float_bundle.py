"""A bundle with float engines too, for a comparison across processors; untrained, and made in a second."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from edge_ecg.bundle import EncoderSpec, Golden, InputSpec, Manifest, TaskSpec, write_bundle
from edge_ecg.heads import MlpHead
from edge_ecg.model import load_model
from edge_ecg_export.calibrate import calibrate
from edge_ecg_export.graph import CONV_SHAPES, make_trunk
from edge_ecg_export.onnx_writer import fp32_onnx, int8_onnx
from edge_ecg_export.quantise import quantise
from edge_ecg_export.tflite_writer import fp32_tflite, int8_tflite

ENGINES = {
    "litert-int8": "encoder.int8.tflite",
    "onnx-int8": "encoder.int8.onnx",
    "litert-fp32": "encoder.fp32.tflite",
    "onnx-fp32": "encoder.fp32.onnx",
}
WINDOWS = 1  # they cost a second each, emulated


def write_float_bundle(path: Path) -> Path:
    """Write a bundle with all four engines and what each of them made of the golden windows on this host."""
    rng = np.random.default_rng(5)
    arrays = {}
    for index, (outputs, inputs, taps) in enumerate(CONV_SHAPES, start=1):
        bound = np.sqrt(6 / (taps * (inputs + outputs)))
        arrays[f"conv{index}.weight"] = rng.uniform(-bound, bound, (outputs, inputs, taps)).astype(np.float32)
        arrays[f"conv{index}.bias"] = rng.normal(0, 0.01, outputs).astype(np.float32)
    trunk = make_trunk(arrays)
    windows = rng.normal(size=(WINDOWS, 2560)).astype(np.float32)
    quantised = quantise(trunk, calibrate(trunk, windows))
    head = MlpHead(
        rng.normal(size=128), rng.uniform(0.5, 2, 128), [rng.normal(0, 0.1, (128, 1))], [np.zeros(1)]
    )
    stream = io.BytesIO()
    head.save(stream)
    files = {
        "encoder.int8.tflite": int8_tflite(quantised),
        "encoder.int8.onnx": int8_onnx(quantised),
        "encoder.fp32.tflite": fp32_tflite(trunk),
        "encoder.fp32.onnx": fp32_onnx(trunk),
        "heads/stress.npz": stream.getvalue(),
        "CARD.md": b"# Untrained\n",
        "golden.npz": Golden(windows).to_bytes(),
    }
    manifest = Manifest(
        name="untrained",
        version="0.0.1",
        created="2026-01-31T12:00:00Z",
        minimum_runtime="0.1.0",
        input=InputSpec(),
        encoder=EncoderSpec(),
        tasks={"stress": TaskSpec(("rest", "stress"), "heads/stress.npz", min_confidence=0.0)},
        engines=ENGINES,
        training={"datasets": []},
        card={"note": "untrained"},
    )
    write_bundle(path, manifest, files)
    embeddings = {engine: load_model(path, engine).embed(windows) for engine in ENGINES}
    golden = Golden(windows, embeddings)
    path.unlink()
    write_bundle(path, manifest, files | {"golden.npz": golden.to_bytes()})
    return path
