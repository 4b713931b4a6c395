"""One bench from beginning to end: right first, then fast; the result is a report (:mod:`.report`)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from ..bundle import Bundle, Golden
from ..engines import AUTO
from ..errors import GateError, UsageError
from ..health import Host
from ..model import Model, load_heads, load_personal_heads, open_model
from .agreement import MIN_COSINE, Agreement, check_engine
from .conditions import read_conditions, remarks, why_invalid
from .end_to_end import HOP_S, EndToEnd, at_duty_cycle, end_to_end
from .latency import ENOUGH_FOR_P99, Latency, interleaved
from .machine import this_machine
from .report import SCHEMA, TYPE, Report
from .startup import measure_startup


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to look.

    Attributes
    ----------
    engine:
        ``auto`` for every engine of the bundle that can run here.
    windows:
        Timed windows an engine, after ``warm_up`` untimed ones.
    budget_s:
        A slow machine stops timing windows after so many seconds; None: never.
    hops:
        Decisions an engine end to end, back to back.
    duty_s:
        Seconds an engine in real time; 0 for none.
    starts:
        Fresh processes an engine.
    raw:
        Keep every timed window in the report.

    """

    engine: str = AUTO
    windows: int = ENOUGH_FOR_P99
    warm_up: int = 20
    budget_s: float | None = 60.0
    hops: int = 100
    duty_s: float = 0.0
    starts: int = 3
    raw: bool = False


class Counter(Protocol):
    """What shows how far a step is."""

    def advance(self) -> None:
        """One more."""


class _Silent:
    def advance(self) -> None:
        """Show nothing."""


Step = Callable[[str, int], AbstractContextManager[Counter]]
"""Called with the unit and the number of what comes next."""


def _no_step(_unit: str, _count: int) -> AbstractContextManager[Counter]:
    return nullcontext(_Silent())


def measure(
    bundle: Bundle,
    path: str | None,
    plan: Plan | None = None,
    *,
    host: Host | None = None,
    step: Step = _no_step,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Report:
    """Check and time a bundle on this machine.

    Parameters
    ----------
    bundle, path:
        A bundle that was read, and from where (None: the one that comes along), for the cold start.
    plan:
        How long to look.
    host:
        The machine; None for this one.
    step:
        Shows how far a step is.
    now:
        The wall clock.

    Raises
    ------
    GateError
        When an engine does not compute what it computed where the bundle was made: it gets no latency.
    UsageError, BundleError
        When no engine of the bundle can run here, or the one that was asked for cannot.

    """
    plan, host = plan or Plan(), host or Host()
    machine, before = this_machine(host), read_conditions(host)
    models, absent = _open_all(bundle, plan.engine)
    golden = Golden.from_bundle(bundle)
    agreements = {name: check_engine(model, golden) for name, model in models.items()}
    _refuse_wrong(bundle, agreements)
    report: Report = {
        "type": TYPE,
        "schema": SCHEMA,
        "time": now().isoformat(timespec="seconds"),
        "model": bundle.name_at_sha,
        "model_sha256": bundle.manifest_sha256,
        "machine": asdict(machine),
        "threads": 1,
        "before": asdict(before),
        "after": None,
        "invalid": [],
        "remarks": remarks(before, machine.cores),
        "absent": absent,
        "energy": "not measured",
        "engines": [_facts(bundle, name, model, agreements[name]) for name, model in models.items()],
    }
    if machine.emulated is not None:
        report["invalid"] = ["emulated"]
        return report
    _time(report, models, golden, path, plan, step)
    after = read_conditions(host)
    report["after"] = asdict(after)
    report["invalid"] = why_invalid(before, after)
    if machine.hypervisor is not None:
        report["remarks"].append(f"A virtual machine ({machine.hypervisor}): others may share its processor.")
    return report


def _time(
    report: Report, models: dict[str, Model], golden: Golden, path: str | None, plan: Plan, step: Step
) -> None:
    encoders = {name: model.encoder for name, model in models.items()}
    with step("windows", plan.windows + plan.warm_up) as shown:
        latencies = interleaved(
            encoders,
            golden.windows,
            rounds=plan.windows,
            warm_up=plan.warm_up,
            budget_s=plan.budget_s,
            after_round=shown.advance,
        )
    with step("decisions", plan.hops + 1) as shown:
        whole = end_to_end(models, hops=plan.hops, after_hop=shown.advance)
    duty_hops = round(plan.duty_s / HOP_S)
    duty: dict[str, EndToEnd] = {}
    if duty_hops:
        with step("decisions in real time", duty_hops * len(models)) as shown:
            for name, model in models.items():
                duty[name] = at_duty_cycle(model, hops=duty_hops, after_hop=shown.advance)
    for row in report["engines"]:
        name = row["engine"]
        row["latency"] = _latency(latencies[name])
        row["end_to_end"] = _whole(whole[name])
        row["duty"] = _whole(duty[name]) if name in duty else None
        row["cold_start"] = asdict(measure_startup(path, name, starts=plan.starts))
        if plan.raw:
            row["samples_ms"] = [round(value, 4) for value in latencies[name].samples_ms]
    fewest = min(latency.windows for latency in latencies.values())
    if fewest < ENOUGH_FOR_P99:
        report["remarks"].append(
            f"p99 of {fewest} windows is rough; {ENOUGH_FOR_P99} or more make it good: --windows, --seconds."
        )


def _facts(bundle: Bundle, name: str, model: Model, agreement: Agreement) -> dict[str, Any]:
    file = bundle.manifest.engines[name]
    data = bundle.read(file)
    return {
        "engine": name,
        "package": model.encoder.version,
        "backend": model.encoder.backend,
        "file": file,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "golden": asdict(agreement),
        "latency": None,
        "end_to_end": None,
        "duty": None,
        "cold_start": None,
    }


def _latency(latency: Latency) -> dict[str, Any]:
    return {key: value for key, value in asdict(latency).items() if key != "samples_ms"}


def _whole(found: EndToEnd) -> dict[str, Any]:
    return {
        "hop_s": found.hop_s,
        "hop": _latency(found.hop),
        "after_last_byte": _latency(found.after_last_byte),
        "model": _latency(found.model),
        "busy": found.busy,
    }


def _open_all(bundle: Bundle, engine: str) -> tuple[dict[str, Model], dict[str, str]]:
    """Open every engine of the bundle that can run here (or the one asked for); and why not the others."""
    names = list(bundle.manifest.engines) if engine == AUTO else [engine]
    heads, personal = load_heads(bundle), load_personal_heads(bundle)
    models: dict[str, Model] = {}
    absent: dict[str, str] = {}
    for name in names:
        try:
            model = open_model(bundle, name, heads, personal)
            models[model.engine] = model
        except UsageError as error:
            absent[name] = error.remedy
    if not models:
        raise UsageError(
            "No engine of this bundle can run here.", remedy=" or ".join(dict.fromkeys(absent.values()))
        )
    return models, absent


def _refuse_wrong(bundle: Bundle, agreements: dict[str, Agreement]) -> None:
    for name, agreement in agreements.items():
        if not agreement.passed:
            raise GateError(
                f"{bundle.name_at_sha} does not compute the right thing in the engine {name!r} here; "
                "its speed is not worth measuring.",
                why=f"Lowest cosine with the golden embeddings {agreement.min_cosine:.5f}, at least "
                f"{MIN_COSINE} is asked; decisions {'equal' if agreement.decisions_equal else 'differ'}.",
                remedy="Check the bundle with `edge-ecg verify`, and the versions of the runtime with "
                "`edge-ecg doctor`; measure another one with --engine.",
            )
