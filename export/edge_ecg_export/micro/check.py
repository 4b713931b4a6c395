"""Whether the core computes in TFLite-Micro what LiteRT computes, and decides as the bundle says it must."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import GateError, UsageError

from .core import Core

Float32Array = NDArray[np.float32]
Int8Array = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Distance:
    """How far the core's outputs in TFLite-Micro are from those of LiteRT with its XNNPACK kernels.

    Attributes
    ----------
    max_steps:
        The largest difference of two int8 values.
    differing:
        The share of values that differ.
    min_cosine:
        The lowest cosine between the two embeddings of a window.
    decisions_equal:
        Share of decisions that are the same.

    """

    max_steps: int
    differing: float
    min_cosine: float
    decisions_equal: float

    def to_json(self) -> dict[str, Any]:
        """Return plain values, rounded."""
        return {
            key: round(value, 6) if isinstance(value, float) else value for key, value in asdict(self).items()
        }


def run_litert(model: bytes, inputs: NDArray[np.generic], *, reference: bool) -> NDArray[Any]:
    """Run (n, …) inputs through a TFLite file in LiteRT.

    Parameters
    ----------
    reference:
        With its reference kernels, which are those of TFLite-Micro; else as on a device, with XNNPACK.

    Raises
    ------
    UsageError
        When LiteRT is not installed.

    """
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ModuleNotFoundError as error:
        raise UsageError("LiteRT is not installed.", remedy="pip install ai-edge-litert") from error
    from edge_ecg.engines.quiet import without_info_lines

    kind = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    with without_info_lines():
        interpreter = Interpreter(model_content=model, experimental_op_resolver_type=kind, num_threads=1)
        interpreter.allocate_tensors()
    given, made = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    found = []
    for values in inputs:
        interpreter.set_tensor(given, values)
        interpreter.invoke()
        found.append(interpreter.get_tensor(made).copy())
    return np.stack(found)


def require_equal(core: Core, micro: Int8Array, litert: Int8Array) -> None:
    """Refuse a core whose outputs differ between TFLite-Micro and LiteRT's reference kernels (GateError)."""
    if np.array_equal(micro, litert):
        return
    steps = np.abs(micro.astype(int) - litert.astype(int))
    raise GateError(
        "TFLite-Micro and LiteRT's reference kernels do not compute the same here.",
        why=f"{np.mean(steps > 0):.2%} of the int8 values differ, by up to {steps.max()} steps.",
        remedy="The two packages are of different times: install a tflite-micro and an ai-edge-litert that "
        "were published together.",
    )


def require_whole(whole: Float32Array, parts: Float32Array) -> None:
    """Refuse when the core with its ends is not the bundle's file (GateError)."""
    if not np.array_equal(whole, parts):
        raise GateError(
            "The core with what is computed around it is not the encoder in the bundle.",
            why=f"Embeddings differ by up to {np.abs(whole - parts).max():.2g}.",
            remedy="Export the bundle again with this version of edge-ecg.",
        )


def require_decisions(
    found: Mapping[str, Float32Array], expected: Mapping[str, Float32Array], least: Mapping[str, float]
) -> None:
    """Refuse when a golden window is decided otherwise than the bundle says (GateError).

    Parameters
    ----------
    found, expected:
        (n, labels) by task.
    least:
        Confidence by task below which nothing is said: what both withhold may differ.

    """
    for task, values in found.items():
        wanted = expected[task]
        said = (values.max(axis=1) >= least[task]) & (wanted.max(axis=1) >= least[task])
        flips = said & (values.argmax(axis=1) != wanted.argmax(axis=1))
        if flips.any():
            raise GateError(
                f"{flips.sum()} of {len(flips)} golden windows are decided otherwise for the task {task!r}.",
                why="TFLite-Micro's kernels round twice where those of LiteRT's XNNPACK round once, and that "
                "adds up over the layers.",
                remedy="Export another encoder, or with another seed of the calibration.",
            )


def distance(
    micro: Int8Array,
    litert: Int8Array,
    embeddings: tuple[Float32Array, Float32Array],
    decisions: tuple[Mapping[str, Float32Array], Mapping[str, Float32Array]],
) -> Distance:
    """Compare outputs, embeddings (n, d) and probabilities by task of TFLite-Micro and LiteRT."""
    steps = np.abs(micro.astype(int) - litert.astype(int))
    ours, theirs = embeddings
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    same = [decisions[0][task].argmax(axis=1) == decisions[1][task].argmax(axis=1) for task in decisions[0]]
    return Distance(
        int(steps.max()),
        float(np.mean(steps > 0)),
        float((np.sum(ours * theirs, axis=1) / np.maximum(norms, 1e-12)).min()),
        float(np.mean(same)),
    )
