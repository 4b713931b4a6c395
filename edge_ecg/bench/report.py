"""A bench as one JSON object: what stands in it, and reading one that another machine wrote."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ..errors import DataError

TYPE = "bench_report"
SCHEMA = 1
Report = dict[str, Any]

# Reports are small; a wrong path must not fill the memory.
_MAX_BYTES = 16 * 1024 * 1024

_NUMBER, _TEXT, _FLAG = (int, float), str, bool
_LATENCY = dict.fromkeys(("p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms", "windows"), _NUMBER)
_WHOLE = {"hop_s": _NUMBER, "hop": _LATENCY, "after_last_byte": _LATENCY, "model": _LATENCY, "busy": _NUMBER}


class _Maybe:
    """Marks what may be null."""

    def __init__(self, shape: object) -> None:
        self.shape = shape


_CLOCK = dict.fromkeys(("min_mhz", "max_mhz", "allowed_mhz", "current_mhz"), _Maybe(_NUMBER))
_CONDITIONS = {
    "load_1min": _Maybe(_NUMBER),
    "temperature_c": _Maybe(_NUMBER),
    "throttled": _Maybe(_NUMBER),
    "governor": _Maybe(_TEXT),
    "clock": _CLOCK,
}
_ENGINE = {
    "engine": _TEXT,
    "package": _TEXT,
    "backend": _TEXT,
    "file": _TEXT,
    "bytes": _NUMBER,
    "sha256": _TEXT,
    "golden": {
        "windows": _NUMBER,
        "min_cosine": _NUMBER,
        "equal": _NUMBER,
        "max_abs": _NUMBER,
        "decisions_equal": _FLAG,
    },
    "latency": _Maybe(_LATENCY),
    "end_to_end": _Maybe(_WHOLE),
    "duty": _Maybe(_WHOLE),
    "cold_start": _Maybe(
        {
            "loaded_s": _NUMBER,
            "first_decision_s": _NUMBER,
            "rss_mb": _Maybe(_NUMBER),
            "peak_rss_mb": _Maybe(_NUMBER),
            "starts": _NUMBER,
        }
    ),
}
_REPORT = {
    "time": _TEXT,
    "model": _TEXT,
    "model_sha256": _TEXT,
    "threads": _NUMBER,
    "machine": {
        **dict.fromkeys(("model", "architecture", "os", "system", "python", "edge_ecg"), _TEXT),
        **dict.fromkeys(("revision", "emulated", "hypervisor"), _Maybe(_TEXT)),
        "bits": _NUMBER,
        "cores": _NUMBER,
        "memory_mb": _Maybe(_NUMBER),
    },
    "before": _CONDITIONS,
    "after": _Maybe(_CONDITIONS),
    "invalid": [_TEXT],
    "remarks": [_TEXT],
    "absent": {},
    "energy": _TEXT,
    "engines": [_ENGINE],
}


def parse_report(text: str, source: str) -> Report:
    """Parse and check a report.

    Parameters
    ----------
    text:
        One JSON object.
    source:
        Where it came from, for messages.

    Raises
    ------
    DataError
        When it is no report, or one of another schema.

    """
    try:
        report = json.loads(text, parse_constant=_no_constant)
        if not isinstance(report, dict) or report.get("type") != TYPE:
            raise ValueError(f'it is no JSON object with "type": "{TYPE}"')
        if report.get("schema") != SCHEMA:
            raise ValueError(f"its schema is {report.get('schema')!r}, known is {SCHEMA}")
        _check(report, _REPORT, "report")
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{source} is no report of `edge-ecg bench`.",
            why=f"{str(error)[:1].upper()}{str(error)[1:]}.",
            remedy="Make one with `edge-ecg bench --save FILE`, by the same version of edge-ecg.",
        ) from error
    return report


def read_report(path: Path) -> Report:
    """Read a report that was saved; DataError when the file cannot be read or is none."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_MAX_BYTES)
    except OSError as error:
        raise DataError(
            f"The report {path} cannot be read.",
            why=f"{error.strerror or error}.",
            remedy="Make one with `edge-ecg bench --save FILE`.",
        ) from error
    return parse_report(text, str(path))


def save_report(report: Report, path: Path) -> None:
    """Write a report; DataError when that is impossible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"The report {path} cannot be written.", why=f"{error.strerror or error}.") from error


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _check(value: object, shape: object, at: str) -> None:
    """Raise ValueError where a value has another shape: a type, a list of one, an object of several."""
    if isinstance(shape, _Maybe):
        if value is not None:
            _check(value, shape.shape, at)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise ValueError(f"{at} is no list")
        for index, item in enumerate(value):
            _check(item, shape[0], f"{at}[{index}]")
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            raise ValueError(f"{at} is no object")
        for key, inner in shape.items():
            if key not in value:
                raise ValueError(f"{at} lacks {key!r}")
            _check(value[key], inner, f"{at}.{key}")
    elif shape is _NUMBER:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{at} is no number")
    elif not isinstance(value, shape):  # type: ignore[arg-type]
        raise ValueError(f"{at} is {value!r}")
