"""The C of the golden windows: a self-test for the board, and a whole small program that runs it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ecg.bundle import TaskSpec

from .c_text import array, header, identifier
from .core import Core

NAME = "edge_ecg_golden"
EXAMPLE_NAME = "edge_ecg_example"

Float32Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class GoldenValues:
    """Golden windows and what must come out.

    Attributes
    ----------
    windows:
        (n, 2560) normalised.
    outputs:
        (n, …) int8 of the core.
    embeddings:
        (n, d).
    features:
        By task, (n, k): what its head sees behind the embedding.
    probabilities:
        By task, (n, labels).

    """

    windows: Float32Array
    outputs: NDArray[np.int8]
    embeddings: Float32Array
    features: Mapping[str, Float32Array]
    probabilities: Mapping[str, Float32Array]


def golden_h(golden: GoldenValues, tasks: Mapping[str, TaskSpec], banner: str) -> str:
    """Return ``edge_ecg_golden.h``."""
    count = len(golden.windows)
    body = [
        f"#define EDGE_ECG_GOLDEN_WINDOWS {count}",
        "",
        "/* One after the other, flat. The output's CRC-32 is that of zlib, over all bytes of a window. */",
        f"extern const float edge_ecg_golden_windows[{golden.windows.size}];",
        f"extern const uint32_t edge_ecg_golden_output_crc32[{count}];",
        f"extern const float edge_ecg_golden_embeddings[{golden.embeddings.size}];",
    ]
    for name in tasks:
        task = identifier(name)
        if golden.features[name].size:
            body.append(f"extern const float edge_ecg_golden_{task}_features[{golden.features[name].size}];")
        body.append(
            f"extern const float edge_ecg_golden_{task}_probabilities[{golden.probabilities[name].size}];"
        )
    return header(NAME, f"{banner}\n\nGolden windows, and what must come out of them.", body)


def golden_c(golden: GoldenValues, tasks: Mapping[str, TaskSpec]) -> str:
    """Return ``edge_ecg_golden.cc``."""
    sums = np.array([zlib.crc32(output.tobytes()) for output in golden.outputs], np.uint32)
    parts = [
        '#include "edge_ecg_golden.h"\n\n#include <math.h>\n',
        array("float", "edge_ecg_golden_windows", golden.windows),
        array("uint32_t", "edge_ecg_golden_output_crc32", sums),
        array("float", "edge_ecg_golden_embeddings", golden.embeddings),
    ]
    for name in tasks:
        prefix = f"edge_ecg_golden_{identifier(name)}"
        if golden.features[name].size:
            parts.append(array("float", f"{prefix}_features", golden.features[name]))
        parts.append(array("float", f"{prefix}_probabilities", golden.probabilities[name]))
    return "\n".join(parts)


# TFLite's name of an operator, and MicroMutableOpResolver's.
_RESOLVER = {
    "CONV_2D": "AddConv2D",
    "LEAKY_RELU": "AddLeakyRelu",
    "MAX_POOL_2D": "AddMaxPool2D",
    "REDUCE_MAX": "AddReduceMax",
}


def resolver_calls(operators: Sequence[str]) -> list[str]:
    """Return what to call on a ``MicroMutableOpResolver`` for these operators."""
    return [_RESOLVER[name] for name in operators]


def example_cc(core: Core, tasks: Mapping[str, TaskSpec], banner: str) -> str:
    """Return ``edge_ecg_example.cc``: the self-test as a program for TFLite-Micro."""
    calls = "\n".join(f"  resolver.{call}();" for call in resolver_calls(core.operators))
    checks = "\n".join(_check(identifier(name), bool(spec.features)) for name, spec in tasks.items())
    lines = [f" * {line}".rstrip() for line in banner.splitlines()]
    return (
        _EXAMPLE.replace("@BANNER@", "\n".join(lines))
        .replace("@COUNT@", str(len(core.operators)))
        .replace("@CALLS@", calls)
        .replace("@CHECKS@", checks)
    )


def _check(task: str, has_features: bool) -> str:
    upper = task.upper()
    features = (
        f"edge_ecg_golden_{task}_features + index * EDGE_ECG_{upper}_FEATURES" if has_features else "nullptr"
    )
    return f"""\
    float {task}[EDGE_ECG_{upper}_LABELS];
    edge_ecg_{task}(embedding, {features}, {task});
    for (int label = 0; label < EDGE_ECG_{upper}_LABELS; ++label) {{
      const float expected = edge_ecg_golden_{task}_probabilities[index * EDGE_ECG_{upper}_LABELS + label];
      if (!(fabsf({task}[label] - expected) < 1e-4f)) ++wrong;
      printf("%s %.4f  ", edge_ecg_{task}_labels[label], static_cast<double>({task}[label]));
    }}"""


_EXAMPLE = """\
/*
@BANNER@
 *
 * The golden windows through the model: prints one line a window, and returns how many are wrong.
 * Needs TFLite-Micro (https://github.com/tensorflow/tflite-micro) and the other files of this folder.
 */
#include <math.h>
#include <stdio.h>

#include "edge_ecg_around.h"
#include "edge_ecg_golden.h"
#include "edge_ecg_heads.h"
#include "edge_ecg_model.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

alignas(16) uint8_t arena[EDGE_ECG_ARENA_BYTES];

uint32_t crc32(const int8_t* bytes, size_t count) {
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < count; ++i) {
    crc ^= static_cast<uint8_t>(bytes[i]);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
  }
  return ~crc;
}

}  // namespace

int main() {
  tflite::MicroMutableOpResolver<@COUNT@> resolver;
@CALLS@
  tflite::MicroInterpreter interpreter(tflite::GetModel(edge_ecg_model), resolver, arena, sizeof(arena));
  if (interpreter.AllocateTensors() != kTfLiteOk) {
    printf("the arena is too small\\n");
    return -1;
  }
  static float embedding[EDGE_ECG_EMBEDDING];
  int wrong = 0;
  for (int index = 0; index < EDGE_ECG_GOLDEN_WINDOWS; ++index) {
    const float* window = edge_ecg_golden_windows + index * EDGE_ECG_WINDOW_SAMPLES;
    edge_ecg_digits(window, interpreter.input(0)->data.int8);
    if (interpreter.Invoke() != kTfLiteOk) return -1;
    const int8_t* output = interpreter.output(0)->data.int8;
    const bool equal = crc32(output, EDGE_ECG_OUTPUT_BYTES) == edge_ecg_golden_output_crc32[index];
    if (!equal) ++wrong;
    edge_ecg_embedding(output, embedding);
@CHECKS@
    printf("window %d: %s\\n", index, equal ? "equal" : "DIFFERENT");
  }
  printf("%d wrong\\n", wrong);
  return wrong;
}
"""
