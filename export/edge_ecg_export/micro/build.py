"""A bundle to a folder of C for a microcontroller, once it is shown to compute what the bundle says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ecg.bundle import Bundle, Golden
from edge_ecg.errors import DataError, GateError
from edge_ecg.heads import interval_features_of
from edge_ecg.model import load_heads

from .around import digits, embedding
from .c_around import NAME as AROUND
from .c_around import around_c, around_h
from .c_golden import EXAMPLE_NAME, GoldenValues, example_cc, golden_c, golden_h, resolver_calls
from .c_golden import NAME as GOLDEN
from .c_heads import NAME as HEADS
from .c_heads import heads_c, heads_h
from .c_text import array, header
from .check import Distance, distance, require_decisions, require_equal, require_whole, run_litert
from .core import Core, cut_core
from .tflm import micro_version, run_micro, smallest_arena

ENGINE = "litert-int8"
MODEL = "edge_ecg_model"
REPORT_NAME = "micro.json"

Float32Array = NDArray[np.float32]
Probabilities = dict[str, Float32Array]


@dataclass(frozen=True, eq=False)
class MicroExport:
    """What was made of a bundle.

    Attributes
    ----------
    files:
        Contents by name.
    core:
        What runs in TFLite-Micro.
    arena_bytes:
        The smallest arena that it works in here.
    distance:
        From LiteRT with XNNPACK, over the golden windows; from its reference kernels there is none.
    report:
        All of this as JSON.

    """

    files: dict[str, bytes]
    core: Core
    arena_bytes: int
    distance: Distance
    report: dict[str, Any]


def export_micro(bundle: Bundle, *, say: Callable[[str], None] = lambda text: None) -> MicroExport:
    """Make C sources of a bundle's int8 encoder, its heads and its golden windows.

    Parameters
    ----------
    bundle:
        A checked bundle.
    say:
        Is called with a sentence on what is being done.

    Raises
    ------
    GateError
        When the encoder is not int8 throughout, when TFLite-Micro computes something else than LiteRT's
        reference kernels, or when a golden window is decided otherwise than the bundle says.
    UsageError
        When TFLite-Micro is not installed here.
    BundleError
        When the bundle has no golden windows.

    """
    version = micro_version()
    if ENGINE not in bundle.manifest.engines:
        raise GateError(
            f"{bundle.name_at_sha} holds no int8 TFLite encoder.",
            why=f"It was exported for {', '.join(bundle.manifest.engines) or 'no engine'}.",
            remedy="Only convolutional encoders have one; export such a run.",
        )
    tflite, golden = bundle.read(bundle.manifest.engines[ENGINE]), Golden.from_bundle(bundle)
    core = cut_core(tflite)
    inputs = np.stack([digits(core, window) for window in golden.windows])

    say(f"{len(inputs)} golden windows in TFLite-Micro {version}")
    run = run_micro(core.model, inputs)
    require_equal(core, run.outputs, run_litert(core.model, inputs, reference=True))
    embeddings = np.stack([embedding(core, output) for output in run.outputs])
    require_whole(run_litert(tflite, golden.windows[:, None], reference=True)[:, 0], embeddings)

    decided = _decide(bundle, golden.windows, embeddings)
    least = {name: spec.min_confidence for name, spec in bundle.manifest.tasks.items()}
    require_decisions(decided, golden.probabilities, least)
    fast = run_litert(core.model, inputs, reference=False)
    theirs = np.stack([embedding(core, output) for output in fast])
    found = distance(
        run.outputs, fast, (embeddings, theirs), (decided, _decide(bundle, golden.windows, theirs))
    )

    say("the smallest arena")
    arena_bytes = smallest_arena(core.model, inputs[:1], run.outputs[:1], run.used_bytes)
    values = GoldenValues(golden.windows, run.outputs, embeddings, _features(bundle, golden.windows), decided)
    report = _report(bundle, core, version, arena_bytes, len(inputs), found)
    return MicroExport(_files(bundle, core, arena_bytes, values, report), core, arena_bytes, found, report)


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write all files into a folder, which is made; DataError when that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise DataError(f"{folder} cannot be written to.", why=f"{error.strerror or error}.") from error


def _features(bundle: Bundle, windows: Float32Array) -> Probabilities:
    return {
        name: np.asarray(interval_features_of(windows, spec.features), np.float32).reshape(len(windows), -1)
        if spec.features
        else np.zeros((len(windows), 0), np.float32)
        for name, spec in bundle.manifest.tasks.items()
    }


def _decide(bundle: Bundle, windows: Float32Array, embeddings: Float32Array) -> Probabilities:
    features = _features(bundle, windows)
    return {
        name: head.probabilities(np.concatenate([embeddings, features[name]], axis=1))
        for name, head in load_heads(bundle).items()
    }


def _report(
    bundle: Bundle, core: Core, version: str, arena_bytes: int, windows: int, found: Distance
) -> dict[str, Any]:
    return {
        "type": "micro",
        "model": bundle.name_at_sha,
        "core_bytes": len(core.model),
        "core_sha256": hashlib.sha256(core.model).hexdigest(),
        "arena_bytes": arena_bytes,
        "macs": bundle.manifest.encoder.macs,
        "operators": list(core.operators),
        "resolver": resolver_calls(core.operators),
        "input": {
            "shape": list(core.input_shape),
            "scale": core.source.scale,
            "zero_point": core.source.zero_point,
        },
        "output": {
            "shape": list(core.output_shape),
            "scale": core.target.scale,
            "zero_point": core.target.zero_point,
        },
        "tflite_micro": version,
        "golden_windows": windows,
        "equal_to": "LiteRT's reference kernels, every int8 value",
        "from_xnnpack": found.to_json(),
    }


def _files(
    bundle: Bundle, core: Core, arena_bytes: int, golden: GoldenValues, report: dict[str, Any]
) -> dict[str, bytes]:
    tasks = bundle.manifest.tasks
    banner = (
        f"{bundle.name_at_sha}, version {bundle.manifest.version}; made by `edge-ecg export --target micro`\n"
        "Research software, not a medical device."
    )
    texts = {
        f"{MODEL}.h": _model_h(core, banner),
        f"{MODEL}.cc": _model_c(core),
        f"{AROUND}.h": around_h(core, arena_bytes, banner),
        f"{AROUND}.cc": around_c(core),
        f"{HEADS}.h": heads_h(tasks, core.embedding, banner),
        f"{HEADS}.cc": heads_c(tasks, load_heads(bundle), core.embedding),
        f"{GOLDEN}.h": golden_h(golden, tasks, banner),
        f"{GOLDEN}.cc": golden_c(golden, tasks),
        f"{EXAMPLE_NAME}.cc": example_cc(core, tasks, banner),
        REPORT_NAME: json.dumps(report, indent=2) + "\n",
    }
    return {**{name: text.encode() for name, text in texts.items()}, "encoder.core.tflite": core.model}


def _model_h(core: Core, banner: str) -> str:
    body = [
        f"#define EDGE_ECG_MODEL_BYTES {len(core.model)}",
        "extern const unsigned char edge_ecg_model[EDGE_ECG_MODEL_BYTES];",
    ]
    operators = ", ".join(core.operators)
    comment = f"{banner}\n\nThe int8 encoder as a TFLite file, aligned to 16 bytes. Operators: {operators}."
    return header(MODEL, comment, body)


def _model_c(core: Core) -> str:
    aligned = (
        '#include "edge_ecg_model.h"\n\n'
        "#if defined(__cplusplus)\n#define EDGE_ECG_ALIGNED alignas(16)\n"
        "#else\n#define EDGE_ECG_ALIGNED __attribute__((aligned(16)))\n#endif\n\n"
    )
    data = np.frombuffer(core.model, np.uint8)
    return aligned + array("unsigned char", MODEL, data, before="EDGE_ECG_ALIGNED ")
