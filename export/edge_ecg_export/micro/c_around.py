"""The C of what a microcontroller computes before and after the int8 core: see :mod:`.around`."""

from __future__ import annotations

from edge_ecg.signal.iir import high_pass
from edge_ecg.signal.normalise import TRIM
from edge_ecg.signal.resample import MODEL_FS_HZ

from ..graph import SLOPE, WINDOW_SAMPLES
from ..quantised import MAGNIFY
from .around import ROOT_MAGIC, ROOT_REACH, ROOT_STEP
from .c_text import array, double_text, float_text, header
from .core import Core

NAME = "edge_ecg_around"

_DECLARATIONS = """\
/* One second-order high-pass of 0.8 Hz at 256 Hz: millivolts in, millivolts out. Begin with {0}. */
typedef struct {
  int running;
  double z0, z1;
} edge_ecg_high_pass;
float edge_ecg_high_pass_step(edge_ecg_high_pass *filter, float ecg_mv);

/* Mean of all, standard deviation of the middle 95 %, of a filtered window; sorts the window in place (hand
 * in a copy). Returns 0 when the window is constant. The live scale is the running mean of both over good
 * windows that do not overlap, from the thirtieth on with a weight of 1/30. */
int edge_ecg_trimmed_scale(float *window_mv, float *mean_mv, float *sd_mv);

/* (ecg_mv - mean_mv) / sd_mv of each sample -> the int8 input of the model. */
void edge_ecg_digits(const float window[EDGE_ECG_WINDOW_SAMPLES], int8_t input[EDGE_ECG_INPUT_BYTES]);

/* The int8 output of the model -> an embedding. */
void edge_ecg_embedding(const int8_t output[EDGE_ECG_OUTPUT_BYTES], float embedding[EDGE_ECG_EMBEDDING]);
"""

_COMMON = """\
#include "edge_ecg_around.h"

#include <math.h>
#include <stdlib.h>

/* A product must be rounded before it is added to: so it is kept from becoming a fused multiply-add. */
static float times(float a, float b) {
  volatile float product = a * b;
  return product;
}

static float clip(float value, float low, float high) {
  return value < low ? low : value > high ? high : value;
}

float edge_ecg_high_pass_step(edge_ecg_high_pass *filter, float ecg_mv) {
  const double x = ecg_mv;
  double y;
  if (!filter->running) { /* as if the first sample had been there for ever */
    y = x * (EDGE_ECG_B0 + EDGE_ECG_B1 + EDGE_ECG_B2) / (1.0 + EDGE_ECG_A1 + EDGE_ECG_A2);
    filter->z1 = EDGE_ECG_B2 * x - EDGE_ECG_A2 * y;
    filter->z0 = EDGE_ECG_B1 * x - EDGE_ECG_A1 * y + filter->z1;
    filter->running = 1;
  }
  y = EDGE_ECG_B0 * x + filter->z0;
  filter->z0 = EDGE_ECG_B1 * x - EDGE_ECG_A1 * y + filter->z1;
  filter->z1 = EDGE_ECG_B2 * x - EDGE_ECG_A2 * y;
  return (float)y;
}

static int compare(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

int edge_ecg_trimmed_scale(float *window_mv, float *mean_mv, float *sd_mv) {
  const int cut = (int)(EDGE_ECG_TRIM * EDGE_ECG_WINDOW_SAMPLES);
  const int count = EDGE_ECG_WINDOW_SAMPLES - 2 * cut;
  double all = 0.0, middle = 0.0, squares = 0.0;
  int i;
  qsort(window_mv, EDGE_ECG_WINDOW_SAMPLES, sizeof(float), compare);
  if (window_mv[cut] == window_mv[EDGE_ECG_WINDOW_SAMPLES - cut - 1]) return 0;
  for (i = 0; i < EDGE_ECG_WINDOW_SAMPLES; ++i) all += window_mv[i];
  for (i = cut; i < cut + count; ++i) middle += window_mv[i];
  middle /= count;
  for (i = cut; i < cut + count; ++i) squares += (window_mv[i] - middle) * (window_mv[i] - middle);
  *mean_mv = (float)(all / EDGE_ECG_WINDOW_SAMPLES);
  *sd_mv = (float)sqrt(squares / count);
  return 1;
}

static float to_steps(float value) {
  return clip(roundf(value / EDGE_ECG_INPUT_SCALE) + EDGE_ECG_INPUT_ZERO_POINT, -128.0f, 127.0f);
}

void edge_ecg_digits(const float window[EDGE_ECG_WINDOW_SAMPLES], int8_t input[EDGE_ECG_INPUT_BYTES]) {
  static const float gains[EDGE_ECG_DIGITS - 1] = {@GAINS@};
  int i, digit;
  for (i = 0; i < EDGE_ECG_WINDOW_SAMPLES; ++i) {
    const float coarse = to_steps(window[i]);
    const float residue = window[i] - times(coarse - EDGE_ECG_INPUT_ZERO_POINT, EDGE_ECG_INPUT_SCALE);
    *input++ = (int8_t)coarse;
    for (digit = 0; digit < EDGE_ECG_DIGITS - 1; ++digit) {
      *input++ = (int8_t)to_steps(times(residue, gains[digit]));
    }
  }
}
"""

_MAXIMA = """
void edge_ecg_embedding(const int8_t output[EDGE_ECG_OUTPUT_BYTES], float embedding[EDGE_ECG_EMBEDDING]) {
  int i;
  for (i = 0; i < EDGE_ECG_EMBEDDING; ++i) {
    const float value = times((float)output[i] - EDGE_ECG_OUTPUT_ZERO_POINT, EDGE_ECG_OUTPUT_SCALE);
    const float shifted = times(value, edge_ecg_gain[i]) + edge_ecg_offset[i];
    embedding[i] = shifted > 0.0f ? shifted : times(shifted, EDGE_ECG_SLOPE);
  }
}
"""

_STATISTICS = """
/* Maximum, mean and standard deviation over time of the LeakyReLU of each channel, from exact sums. */
void edge_ecg_embedding(const int8_t output[EDGE_ECG_OUTPUT_BYTES], float embedding[EDGE_ECG_EMBEDDING]) {
  const float share = EDGE_ECG_SHARE, magic = EDGE_ECG_ROOT_MAGIC;
  int channel, step, i;
  for (channel = 0; channel < EDGE_ECG_CHANNELS; ++channel) {
    const float zero = (float)edge_ecg_zero[channel];
    const int32_t floor_q = -(int32_t)edge_ecg_zero[channel];
    int32_t sum_q = 0, squares_q = 0, sum_m = 0, squares_m = 0, max_q = -128;
    float mean_q, mean_m, variance_q, variance_m, positive, between, variance, near_root, beyond, largest;
    volatile float rounded;
    for (step = 0; step < EDGE_ECG_STEPS; ++step) {
      const int32_t q = output[step * EDGE_ECG_CHANNELS + channel];
      const int32_t m = q > floor_q ? q : floor_q;
      sum_q += q;
      squares_q += q * q;
      sum_m += m;
      squares_m += m * m;
      if (q > max_q) max_q = q;
    }
    mean_q = times((float)sum_q, share);
    mean_m = times((float)sum_m, share);
    variance_q = times((float)squares_q, share) - times(mean_q, mean_q);
    variance_m = times((float)squares_m, share) - times(mean_m, mean_m);
    positive = mean_m + zero;
    between = times(times(mean_m - mean_q, positive), 8.0f);
    variance = (variance_q + times(variance_m, 24.0f)) + between;
    variance = clip(variance, 0.0f, EDGE_ECG_ROOT_REACH * EDGE_ECG_ROOT_REACH);
    rounded = sqrtf(variance) + magic; /* to a multiple of 1/16, by float32's spacing up there */
    rounded = rounded - magic;
    near_root = rounded;
    beyond = times(variance - times(near_root, near_root), EDGE_ECG_MAGNIFY);
    largest = (float)max_q + zero;
    embedding[channel] = largest > 0.0f ? largest : times(largest, EDGE_ECG_SLOPE);
    embedding[EDGE_ECG_CHANNELS + channel] = (mean_q + zero) + times(positive, 4.0f);
    embedding[2 * EDGE_ECG_CHANNELS + channel] = near_root + clip(beyond, -EDGE_ECG_ROOT_STEP, 0.0f);
  }
  for (i = 0; i < EDGE_ECG_EMBEDDING; ++i) {
    embedding[i] = times(embedding[i], edge_ecg_gain[i]) + edge_ecg_offset[i];
  }
}
"""


def around_h(core: Core, arena_bytes: int, banner: str) -> str:
    """Return ``edge_ecg_around.h``."""
    biquad = high_pass(MODEL_FS_HZ)
    steps = core.output_shape[-2] if len(core.output_shape) == 4 else 1
    numbers = {
        "EDGE_ECG_ARENA_BYTES": f"{arena_bytes}  /* found by running it; see micro.json */",
        "EDGE_ECG_FS_HZ": f"{MODEL_FS_HZ:g}",
        "EDGE_ECG_WINDOW_SAMPLES": str(WINDOW_SAMPLES),
        "EDGE_ECG_DIGITS": str(core.input_shape[-1]),
        "EDGE_ECG_INPUT_BYTES": "(EDGE_ECG_WINDOW_SAMPLES * EDGE_ECG_DIGITS)",
        "EDGE_ECG_INPUT_SCALE": float_text(core.source.scale),
        "EDGE_ECG_INPUT_ZERO_POINT": str(core.source.zero_point),
        "EDGE_ECG_STEPS": str(steps),
        "EDGE_ECG_CHANNELS": str(core.channels),
        "EDGE_ECG_OUTPUT_BYTES": "(EDGE_ECG_STEPS * EDGE_ECG_CHANNELS)",
        "EDGE_ECG_OUTPUT_SCALE": float_text(core.target.scale),
        "EDGE_ECG_OUTPUT_ZERO_POINT": str(core.target.zero_point),
        "EDGE_ECG_EMBEDDING": str(core.embedding),
        "EDGE_ECG_SLOPE": float_text(SLOPE),
        "EDGE_ECG_TRIM": double_text(TRIM),
        **{f"EDGE_ECG_B{i}": f"({double_text(value)})" for i, value in enumerate(biquad.b)},
        **{f"EDGE_ECG_A{i}": f"({double_text(biquad.a[i])})" for i in (1, 2)},
    }
    if core.share is not None:
        numbers |= {
            "EDGE_ECG_SHARE": float_text(core.share),
            "EDGE_ECG_ROOT_STEP": float_text(ROOT_STEP),
            "EDGE_ECG_ROOT_REACH": float_text(ROOT_REACH),
            "EDGE_ECG_ROOT_MAGIC": float_text(ROOT_MAGIC),
            "EDGE_ECG_MAGNIFY": float_text(MAGNIFY),
        }
    defines = [f"#define {name} {value}" for name, value in numbers.items()]
    comment = (
        f"{banner}\n\nA window of ECG to the model's input, and its output to an embedding.\n"
        "The order: high-pass, window, scale, digits, model, embedding, head."
    )
    return header(NAME, comment, [*defines, "", _DECLARATIONS.rstrip()])


def around_c(core: Core) -> str:
    """Return ``edge_ecg_around.cc``."""
    parts = [_COMMON.replace("@GAINS@", ", ".join(map(float_text, core.gains)))]
    parts.append("\n" + array("float", "edge_ecg_gain", core.gain, before="static "))
    parts.append(array("float", "edge_ecg_offset", core.offset, before="static "))
    if core.zero is None:
        return "".join([*parts, _MAXIMA])
    return "".join(
        [*parts, array("int16_t", "edge_ecg_zero", core.zero.astype("int16"), before="static "), _STATISTICS]
    )
