"""Two reports side by side: what is measured on a workstation, and what that becomes on a device."""

from __future__ import annotations

from typing import Any

from .report import Report
from .table import golden, machine_line, milliseconds

Json = dict[str, Any]

_WIDTH = 26


def compare(first: Report, second: Report) -> Json:
    """Put two reports side by side.

    Returns
    -------
    A JSON object: both reports, whether they are of the same model, and for each engine that is in both the
    ratios (second over first) of what is in both; None where one has no time.
    """
    engines = []
    others = {row["engine"]: row for row in second["engines"]}
    for row in first["engines"]:
        other = others.get(row["engine"])
        if other is not None:
            engines.append(
                {
                    "engine": row["engine"],
                    "same_file": row["sha256"] == other["sha256"],
                    "golden": [golden(row), golden(other)],
                    "ratios": {name: _ratio(row, other, name) for name in _FIGURES},
                }
            )
    return {
        "type": "bench_comparison",
        "same_model": first["model_sha256"] == second["model_sha256"],
        "invalid": sorted({*first["invalid"], *second["invalid"]}),
        "engines": engines,
        "reports": [first, second],
    }


# Figure: where it stands in an engine's part of a report, its unit.
_FIGURES: dict[str, tuple[tuple[str, ...], str]] = {
    "encoder p50": (("latency", "p50_ms"), "ms"),
    "encoder p99": (("latency", "p99_ms"), "ms"),
    "decision p50": (("end_to_end", "hop", "p50_ms"), "ms"),
    "in real time p50": (("duty", "after_last_byte", "p50_ms"), "ms"),
    "cold start": (("cold_start", "first_decision_s"), "s"),
    "peak memory": (("cold_start", "peak_rss_mb"), "MB"),
}


def comparison_page(found: Json) -> str:
    """Both machines, and a block of figures an engine."""
    first, second = found["reports"]
    names = ["A", "B"]
    lines = [f"{name}: {_where(report)}" for name, report in zip(names, (first, second), strict=True)]
    if not found["same_model"]:
        lines.append(f"note: not the same model: {first['model']} and {second['model']}")
    for name, report in zip(names, (first, second), strict=True):
        if report["invalid"]:
            lines.append(f"INVALID: {name}: {', '.join(report['invalid'])}")
        lines += [f"note: {name}: {remark}" for remark in report["remarks"]]
    rows = [{row["engine"]: row for row in report["engines"]} for report in (first, second)]
    for engine in found["engines"]:
        lines += ["", f"{engine['engine']:18}{'A':>{_WIDTH}}{'B':>{_WIDTH}}{'B / A':>9}"]
        for name, (path, unit) in _FIGURES.items():
            values = [_at(each[engine["engine"]], path) for each in rows]
            if values == [None, None]:
                continue
            shown = [_shown(value, unit) for value in values]
            ratio = engine["ratios"][name]
            quotient = "--" if ratio is None else f"{ratio:.2f}"
            lines.append(f"  {name:16}{shown[0]:>{_WIDTH}}{shown[1]:>{_WIDTH}}{quotient:>9}")
        lines.append(f"  {'golden':16}{engine['golden'][0]:>{_WIDTH}}{engine['golden'][1]:>{_WIDTH}}")
        if not engine["same_file"]:
            lines.append("  note: the files of this engine differ")
    alone = {name for each in rows for name in each} - {engine["engine"] for engine in found["engines"]}
    lines += ["", f"only in one of them: {', '.join(sorted(alone))}"] if alone else []
    return "\n".join(lines)


def _where(report: Report) -> str:
    return f"{report['host']}: {machine_line(report)}" if "host" in report else machine_line(report)


def _ratio(first: Json, second: Json, name: str) -> float | None:
    path = _FIGURES[name][0]
    below, above = _at(first, path), _at(second, path)
    return above / below if below and above is not None else None


def _at(row: Json, path: tuple[str, ...]) -> float | None:
    value: Any = row
    for key in path:
        if value is None:
            return None
        value = value[key]
    return None if value is None else float(value)


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return "--"
    return f"{milliseconds(value)} {unit}" if unit != "MB" else f"{value:.0f} MB"
