"""A report as a page of text: the machine, what it was measured under, a line an engine, what to mind."""

from __future__ import annotations

from typing import Any

from ..health.readings import SINCE_BOOT
from .report import Report

_NOW = 0xF


def page(report: Report) -> str:
    """All that a person wants to know of one bench."""
    lines = [
        f"{report['model']}, {_plural(report['threads'], 'thread')}, engines take turns window by window",
        machine_line(report),
    ]
    if report["machine"]["emulated"] is not None:
        lines += [
            "",
            f"EMULATED: {report['machine']['emulated']}. What it computes counts; its times do not,",
        ]
        lines += ["so none were taken.", ""]
        lines += [f"{row['engine']:12} golden {golden(row)}" for row in report["engines"]]
    else:
        lines += [_conditions_line(report), *_invalid(report["invalid"]), "", *_times(report)]
        if any(row["duty"] for row in report["engines"]):
            lines += ["", *_duty(report)]
    lines += ["", f"golden: {report['engines'][0]['golden']['windows']} windows of the bundle"]
    lines += [f"{row['engine']}: {row['package']}, {row['backend']}" for row in report["engines"]]
    lines += [f"{name}: not installed here: {remedy}" for name, remedy in report["absent"].items()]
    if report["machine"]["emulated"] is None:
        lines += ["energy: not measured; cold start: page cache not dropped"]
    lines += [f"note: {remark}" for remark in report["remarks"]]
    return "\n".join(lines)


def machine_line(report: Report) -> str:
    """The board and what runs on it."""
    machine = report["machine"]
    board = machine["model"] + (f" ({machine['revision']})" if machine["revision"] else "")
    memory = [] if machine["memory_mb"] is None else [f"{machine['memory_mb'] / 1000:.1f} GB"]
    return ", ".join(
        [
            board,
            _plural(machine["cores"], "core"),
            *memory,
            f"{machine['architecture']} ({machine['bits']}-bit)",
            machine["os"],
            machine["system"],
            f"Python {machine['python']}",
            f"edge-ecg {machine['edge_ecg']}",
        ]
    )


def golden(row: dict[str, Any]) -> str:
    """How an engine's embeddings compare with those expected."""
    found = row["golden"]
    if found["equal"] == 1.0:
        return "equal"
    return f"within {found['max_abs']:.1g}, decisions {'equal' if found['decisions_equal'] else 'DIFFER'}"


def milliseconds(value: float) -> str:
    """A time in as many digits as it deserves."""
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _times(report: Report) -> list[str]:
    lines = [
        f"{'':12}  {'encoder alone, ms a window':^39}  {'all in, ms a decision':^25}  {'cold':>6}  "
        f"{'memory':>7}",
        f"{'engine':12}  {'p50':>7} {'p90':>7} {'p95':>7} {'p99':>7} {'max':>7}  {'p50':>7} {'p95':>7} "
        f"{'busy':>7}    {'start':>6}  {'peak':>7}  golden",
    ]
    for row in report["engines"]:
        latency, whole, cold = row["latency"], row["end_to_end"], row["cold_start"]
        if latency is None or whole is None or cold is None:
            lines.append(f"{row['engine']:12}  {'not timed':^39}  {'':27}  {'':>6}  {'':>7}  {golden(row)}")
            continue
        model = " ".join(f"{milliseconds(latency[f'{key}_ms']):>7}" for key in _KEYS)
        hop = " ".join(f"{milliseconds(whole['hop'][f'{key}_ms']):>7}" for key in ("p50", "p95"))
        peak = "--" if cold["peak_rss_mb"] is None else f"{cold['peak_rss_mb']:.0f} MB"
        lines.append(
            f"{row['engine']:12}  {model}  {hop} {100 * whole['busy']:5.1f} %    "
            f"{cold['first_decision_s']:4.2f} s  {peak:>7}  {golden(row)}"
        )
    first = report["engines"][0]
    windows, whole = first["latency"], first["end_to_end"]
    if windows is not None and whole is not None:
        lines.append(
            f"{windows['windows']} windows, {whole['hop']['windows']} decisions; all in: every byte of "
            f"{whole['hop_s']:g} s decoded, filtered, judged, decided on, written"
        )
    return lines


_KEYS = ("p50", "p90", "p95", "p99", "max")


def _duty(report: Report) -> list[str]:
    lines = [
        "in real time, asleep in between (what a user sees), ms",
        f"{'engine':12}  {'model p50':>9} {'p95':>7} {'max':>7}  {'after the last byte p50':>23} {'p95':>7} "
        f"{'max':>7}  {'busy':>7}",
    ]
    for row in report["engines"]:
        duty = row["duty"]
        if duty is None:
            continue
        model, late = (
            [milliseconds(duty[name][f"{key}_ms"]) for key in ("p50", "p95", "max")]
            for name in ("model", "after_last_byte")
        )
        lines.append(
            f"{row['engine']:12}  {model[0]:>9} {model[1]:>7} {model[2]:>7}  {late[0]:>23} {late[1]:>7} "
            f"{late[2]:>7}  {100 * duty['busy']:5.1f} %"
        )
    return lines


def _conditions_line(report: Report) -> str:
    before, after = report["before"], report["after"] or report["before"]
    clock = before["clock"]
    parts = []
    if clock["max_mhz"] is None:
        parts.append("clock unknown")
    else:
        low = "" if clock["min_mhz"] is None else f"{clock['min_mhz']:.0f} to "
        parts.append(f"clock {low}{clock['max_mhz']:.0f} MHz, {before['governor'] or 'no governor'}")
        parts.append(_change("at", before["clock"]["current_mhz"], after["clock"]["current_mhz"], "MHz"))
    parts.append(_change("temperature", before["temperature_c"], after["temperature_c"], "°C"))
    parts.append(_throttling(before["throttled"], after["throttled"]))
    parts.append("load unknown" if before["load_1min"] is None else f"load {before['load_1min']:.1f}")
    return "; ".join(parts)


def _change(name: str, before: float | None, after: float | None, unit: str) -> str:
    if before is None or after is None:
        return f"{name} unknown"
    return f"{name} {before:.0f} -> {after:.0f} {unit}"


def _throttling(before: int | None, after: int | None) -> str:
    if before is None or after is None:
        return "throttling unknown"
    return f"throttled: {_throttled(before)} -> {_throttled(after)}"


def _throttled(bits: int) -> str:
    if bits & _NOW:
        return f"NOW ({bits:#x})"
    return f"not now, but since boot ({bits:#x})" if bits >> SINCE_BOOT & _NOW else "never"


_INVALID = {
    "throttled": "throttled: the firmware slowed the processor down, for heat or a weak supply. Cool it, "
    "use its own supply, and measure again.",
    "capped": "capped: the clock may not go as high as the hardware can (scaling_max_freq).",
}


def _invalid(reasons: list[str]) -> list[str]:
    return [f"INVALID: {_INVALID.get(reason, reason)}" for reason in reasons]


def _plural(count: int, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'}"
