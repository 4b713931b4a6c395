"""A trained run to a bundle: calibrate, quantise, write, pass the gate, pack."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from edge_ecg.bundle import (
    Bundle,
    EncoderSpec,
    Golden,
    InputSpec,
    Manifest,
    Preprocessing,
    TaskSpec,
    bundle_bytes,
    read_bundle,
)
from edge_ecg.bundle.manifest import CARD_NAME, GOLDEN_NAME
from edge_ecg.engines import ENGINES, open_encoder
from edge_ecg.errors import DataError
from edge_ecg.heads import MlpHead
from edge_ecg_train.checkpoint import load_encoder
from edge_ecg_train.device import Execution, prepare_machine
from edge_ecg_train.embeddings import embed
from edge_ecg_train.run_dir import RunDir
from edge_ecg_train.store import WindowStore

from .calibrate import Calibration, calibrate
from .fidelity import layer_fidelity
from .gate import GateReport, compare
from .graph import Trunk, load_trunk
from .onnx_writer import fp32_onnx, int8_onnx
from .quantise import quantise
from .quantised import QuantisedTrunk
from .tflite_writer import fp32_tflite, int8_tflite

MINIMUM_RUNTIME = "0.1.0"
ENCODER_FILES = {
    "litert-int8": "encoder.int8.tflite",
    "onnx-int8": "encoder.int8.onnx",
    "litert-fp32": "encoder.fp32.tflite",
    "onnx-fp32": "encoder.fp32.onnx",
}
# What is tried in turn: all convolutions in int8; then the first block, in which most of the noise arises, on
# integers in float32 (a quarter of the arithmetic); then the first two (two thirds of it).
FLOAT_CONVS = (0, 2, 4)

# A head that is 50 to 55 % sure has no ground to stand on: such decisions are withheld as ``low_confidence``.
MIN_CONFIDENCE = 0.55

_GATE_SHARE = 0.25
_LAYER_WINDOWS = 12
_GOLDEN_WINDOWS = 6

Quantise = Callable[[Trunk, Calibration, int], QuantisedTrunk]


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """What to make of a run.

    Parameters
    ----------
    name, version:
        Of the model.
    created:
        The moment that the manifest carries, in UTC.
    lean:
        Leave the float encoders out of the bundle (they still pass the gate).
    calibration_windows:
        At most so many, spread evenly over the people that calibrate.
    float_convs:
        How many leading convolutions compute on integers in float32, in the order in which they are tried.
    min_confidence:
        Below this probability a device says nothing.
    seed:
        Of the split of people into those that calibrate and those that the gate sees.
    """

    name: str
    version: str
    created: datetime
    lean: bool = False
    calibration_windows: int = 384
    float_convs: tuple[int, ...] = FLOAT_CONVS
    min_confidence: float = MIN_CONFIDENCE
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Exported:
    """A bundle that passed the gate."""

    data: bytes
    report: GateReport
    float_convs: int
    min_confidence: float


def export_run(
    run: RunDir,
    store: WindowStore,
    settings: ExportSettings,
    *,
    quantiser: Quantise = quantise,
    on_window: Callable[[], None] = lambda: None,
    say: Callable[[str], None] = lambda text: None,
) -> Exported:
    """Export a run.

    Parameters
    ----------
    run, store:
        The run, with its heads, and windows for calibration and gate.
    settings:
        See there.
    quantiser:
        Float trunk and calibration to int8 trunk.
    on_window, say:
        Are called after each calibration window, and with a sentence on what is being done.

    Raises
    ------
    DataError
        When the run is not complete, or the store has too few people to check on.
    GateError
        When no variant decides as PyTorch does.
    """
    facts = run.read_json()
    heads = _heads(run, facts)
    labels = {task: _labels(store, task) for task in heads}
    torch_trunk, trunk = load_encoder(run.encoder), load_trunk(run.encoder)
    calibrating, checking = split_rows(store.subject, settings)
    # Thousands of small products: BLAS threads wait for each other, on a busy machine forty times as long.
    with threadpool_limits(limits=1, user_api="blas"):
        calibration = calibrate(trunk, np.array(store.windows[calibrating], np.float32), on_window)
    windows = np.array(store.windows[checking], np.float32)
    machine = prepare_machine(Execution(device="cpu", precision="fp32"))
    reference = embed(torch_trunk, windows, machine)
    floats = {"litert-fp32": fp32_tflite(trunk), "onnx-fp32": fp32_onnx(trunk)}

    report: GateReport | None = None
    for float_convs in settings.float_convs:
        with threadpool_limits(limits=1, user_api="blas"):
            quantised = quantiser(trunk, calibration, float_convs)
        encoders = {"litert-int8": int8_tflite(quantised), "onnx-int8": int8_onnx(quantised), **floats}
        manifest = _manifest(facts, settings, float_convs, len(calibrating))
        files = _files(run, facts, heads)
        whole = _bundle(manifest, files, encoders)
        embeddings = {name: open_encoder(whole, name).embed(windows) for name in ENGINES}
        report = GateReport(
            windows=len(windows),
            people=len(np.unique(store.subject[checking])),
            engines=[
                compare(
                    name,
                    embeddings[name],
                    reference,
                    heads,
                    {task: labels[task][checking] for task in heads},
                    settings.min_confidence,
                )
                for name in ENGINES
            ],
            layers=layer_fidelity(trunk, quantised, windows[:: -(-len(windows) // _LAYER_WINDOWS)]),
        )
        if report.failures:
            say(f"{_describe(float_convs)}: {'; '.join(report.failures)}")
            continue
        shipped = {name: data for name, data in encoders.items() if not (settings.lean and name in floats)}
        rows = np.linspace(0, len(windows) - 1, _GOLDEN_WINDOWS).round().astype(int)
        golden = Golden(
            windows[rows],
            {name: embeddings[name][rows] for name in shipped},
            {task: head.probabilities(embeddings["litert-int8"][rows]) for task, head in heads.items()},
        )
        manifest = replace(
            manifest, training={**manifest.training, "gate": report.to_json()}, engines=_engines(shipped)
        )
        data = _pack(manifest, {**files, GOLDEN_NAME: golden.to_bytes()}, shipped)
        return Exported(data, report, float_convs, settings.min_confidence)
    assert report is not None, "settings name at least one variant"
    report.check()
    raise AssertionError("a report with failures does not pass")


def split_rows(
    subjects: NDArray[np.str_], settings: ExportSettings
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows that calibrate and those that the gate sees; no person is on both sides.

    Raises
    ------
    DataError
        When there are fewer than two people.
    """
    people = np.unique(subjects)
    if len(people) < 2:
        raise DataError(
            "The gate needs windows of at least two people: one to calibrate on, another to check with.",
            remedy="Prepare more recordings, or give another store.",
        )
    count = max(1, round(_GATE_SHARE * len(people)))
    chosen = np.random.default_rng([settings.seed, 6]).permutation(people)[:count]
    checking = np.isin(subjects, chosen)
    rows = np.flatnonzero(~checking)
    step = max(1, -(-len(rows) // settings.calibration_windows))
    return rows[::step], np.flatnonzero(checking)


def _describe(float_convs: int) -> str:
    return "all layers in int8" if not float_convs else f"the first {float_convs} convolutions in float32"


def _heads(run: RunDir, facts: Mapping[str, Any]) -> dict[str, MlpHead]:
    tasks = facts.get("tasks", {})
    if not tasks:
        raise DataError(
            f"{run.path} has no head to export.",
            remedy=f"Train one with `edge-ecg train emotion {run.path} STORE`.",
        )
    return {task: MlpHead.load(run.head(task)) for task in tasks}


def _labels(store: WindowStore, task: str) -> NDArray[np.int64]:
    return store.label(task) if task in store.tasks else np.full(len(store), -1, np.int64)


def _manifest(
    facts: Mapping[str, Any], settings: ExportSettings, float_convs: int, calibrated: int
) -> Manifest:
    preprocessing = facts.get("preprocessing") or facts.get("pretext", {}).get("preprocessing") or {}
    training = {key: facts[key] for key in ("pretext", "supervised", "emotion") if key in facts}
    for stage in training.values():
        # Curves and places on the training machine are of no use on a device.
        for key in ("history", "store", "path"):
            if isinstance(stage, dict):
                stage.pop(key, None)
    training["quantisation"] = {
        "float_convs": float_convs, "calibration_windows": calibrated, "seed": settings.seed,
    }  # fmt: skip
    return Manifest(
        name=settings.name,
        version=settings.version,
        created=settings.created.isoformat(timespec="seconds"),
        minimum_runtime=MINIMUM_RUNTIME,
        input=InputSpec(preprocessing=Preprocessing(**preprocessing)),
        encoder=EncoderSpec(),
        tasks={
            task: TaskSpec(tuple(entry["labels"]), f"heads/{task}.npz", settings.min_confidence)
            for task, entry in facts["tasks"].items()
        },
        engines={},
        training=training,
        card=facts.get("card", {}),
    )


def _files(run: RunDir, facts: Mapping[str, Any], heads: Mapping[str, MlpHead]) -> dict[str, bytes]:
    files = {}
    for task, head in heads.items():
        stream = io.BytesIO()
        head.save(stream)
        files[f"heads/{task}.npz"] = stream.getvalue()
    files[CARD_NAME] = _card(run.path / CARD_NAME, facts).encode()
    return files


def _card(place: Path, facts: Mapping[str, Any]) -> str:
    if place.exists():
        return place.read_text(encoding="utf-8")
    return (
        f"# {facts.get('name', 'model')}\n\nNot evaluated: `edge-ecg evaluate RUN STORE --write-card` makes "
        "a card, and the next export takes it along.\n"
    )


def _engines(encoders: Mapping[str, bytes]) -> dict[str, str]:
    return {name: ENCODER_FILES[name] for name in ENGINES if name in encoders}


def _pack(manifest: Manifest, files: Mapping[str, bytes], encoders: Mapping[str, bytes]) -> bytes:
    named = {ENCODER_FILES[name]: data for name, data in encoders.items()}
    return bundle_bytes(manifest, {**files, **named})


def _bundle(manifest: Manifest, files: Mapping[str, bytes], encoders: Mapping[str, bytes]) -> Bundle:
    return read_bundle(io.BytesIO(_pack(replace(manifest, engines=_engines(encoders)), files, encoders)))
