"""The C of the heads: their weights as arrays, and one function a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edge_ecg.bundle import TaskSpec
from edge_ecg.heads import MlpHead

from .c_text import array, block, float_text, header, identifier, string_text

NAME = "edge_ecg_heads"

_CODE = """\
#include "edge_ecg_heads.h"

#include <math.h>

/* One dense layer: row by row of (inputs, outputs) weights. */
static void dense(const float *x, int inputs, const float *weight, const float *bias, float *y, int outputs,
                  int rectified) {
  int i, j;
  for (j = 0; j < outputs; ++j) y[j] = bias[j];
  for (i = 0; i < inputs; ++i) {
    for (j = 0; j < outputs; ++j) y[j] += x[i] * weight[i * outputs + j];
  }
  for (j = 0; j < outputs; ++j) y[j] = rectified && y[j] < 0.0f ? 0.0f : y[j];
}

static void standardise(const float *embedding, int count, const float *features, int more, const float *mean,
                        const float *scale, float *x) {
  int i;
  for (i = 0; i < count + more; ++i) {
    const float value = i < count ? embedding[i] : features ? features[i - count] : NAN;
    x[i] = isnan(value) ? 0.0f : (value - mean[i]) / scale[i];
  }
}

/* Probabilities of k logits; a single logit is that of the second of two labels. */
static void softmax(const float *logits, int count, float temperature, float *probabilities) {
  float largest, total = 0.0f;
  int i;
  if (count == 1) {
    probabilities[0] = 0.0f;
    probabilities[1] = logits[0] / temperature;
    count = 2;
  } else {
    for (i = 0; i < count; ++i) probabilities[i] = logits[i] / temperature;
  }
  largest = probabilities[0];
  for (i = 1; i < count; ++i) largest = probabilities[i] > largest ? probabilities[i] : largest;
  for (i = 0; i < count; ++i) total += probabilities[i] = expf(probabilities[i] - largest);
  for (i = 0; i < count; ++i) probabilities[i] /= total;
}
"""


def heads_h(tasks: Mapping[str, TaskSpec], embedding: int, banner: str) -> str:
    """Return ``edge_ecg_heads.h``."""
    body = []
    for name, spec in tasks.items():
        task = identifier(name)
        upper = task.upper()
        features = ", ".join(spec.features) or "none"
        body += [
            block(f"{name}: {' / '.join(spec.labels)}. Features: {features}."),
            f"#define EDGE_ECG_{upper}_LABELS {len(spec.labels)}",
            f"#define EDGE_ECG_{upper}_FEATURES {len(spec.features)}",
            f"#define EDGE_ECG_{upper}_MIN_CONFIDENCE {float_text(spec.min_confidence)}",
            f"extern const char *const edge_ecg_{task}_labels[EDGE_ECG_{upper}_LABELS];",
            f"void edge_ecg_{task}(const float embedding[{embedding}], const float *features, "
            f"float probabilities[EDGE_ECG_{upper}_LABELS]);",
            "",
        ]
    comment = (
        f"{banner}\n\nAn embedding to the probabilities of each task. Features are computed from the beats\n"
        "in the window; NULL, or NaN for one, where they are not known: the head then takes their mean.\n"
        "Below a task's MIN_CONFIDENCE say nothing."
    )
    return header(NAME, comment, body[:-1])


def heads_c(tasks: Mapping[str, TaskSpec], heads: Mapping[str, MlpHead], embedding: int) -> str:
    """Return ``edge_ecg_heads.cc``."""
    parts = [_CODE]
    for name, spec in tasks.items():
        parts.append(_task(identifier(name), spec.labels, heads[name], embedding))
    return "\n".join(parts)


def _task(task: str, labels: Sequence[str], head: MlpHead, embedding: int) -> str:
    prefix = f"edge_ecg_{task}"
    upper = task.upper()
    widths = [head.inputs, *(weight.shape[1] for weight in head.weights)]
    arrays = {"mean": head.mean, "scale": head.scale}
    for index, (weight, bias) in enumerate(zip(head.weights, head.biases, strict=True)):
        arrays |= {f"w{index}": weight, f"b{index}": bias}
    lines = [
        array("float", f"{prefix}_{part}", np.asarray(values), before="static ")
        for part, values in arrays.items()
    ]
    named = ", ".join(map(string_text, labels))
    lines.append(f"const char *const {prefix}_labels[EDGE_ECG_{upper}_LABELS] = {{{named}}};\n")
    lines.append(
        f"void {prefix}(const float embedding[{embedding}], const float *features, "
        f"float probabilities[EDGE_ECG_{upper}_LABELS]) {{"
    )
    lines += [f"  float x{index}[{width}];" for index, width in enumerate(widths)]
    lines.append(
        f"  standardise(embedding, {embedding}, features, EDGE_ECG_{upper}_FEATURES, {prefix}_mean, "
        f"{prefix}_scale, x0);"
    )
    last = len(head.weights) - 1
    for index in range(len(head.weights)):
        lines.append(
            f"  dense(x{index}, {widths[index]}, {prefix}_w{index}, {prefix}_b{index}, x{index + 1}, "
            f"{widths[index + 1]}, {int(index < last)});"
        )
    lines.append(f"  softmax(x{last + 1}, {widths[-1]}, {float_text(head.temperature)}, probabilities);")
    lines.append("}\n")
    return "\n".join(lines)
