"""A trained run to a bundle: calibrate, quantise, write, pass the gate, pack."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ecg.bundle import (
    Bundle,
    EncoderSpec,
    Golden,
    InputSpec,
    Manifest,
    Preprocessing,
    TaskSpec,
    TrustedKeys,
    bundle_bytes,
    read_bundle,
)
from edge_ecg.bundle.manifest import CARD_NAME, GOLDEN_NAME
from edge_ecg.engines import ENGINES, open_encoder
from edge_ecg.errors import DataError
from edge_ecg_train.checkpoint import load_encoder
from edge_ecg_train.device import Execution, prepare_machine
from edge_ecg_train.embeddings import embed
from edge_ecg_train.networks import Trunk
from edge_ecg_train.run_dir import RunDir, check_preprocessing, encoder_facts
from edge_ecg_train.store import WindowStore
from edge_ecg_train.transformer.encoder_file import load_transformer

from .candidates import Quantise, candidates
from .deciders import ShippedTask, deciders, shipped_tasks
from .gate import GateReport, compare
from .quantise import quantise
from .transformer import is_transformer_run

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
        When the run is not complete; or the store was prepared in another way than what it was trained on,
        or has too few people to check on.
    GateError
        When no variant decides as PyTorch does.
    """
    facts = run.read_json()
    tasks = shipped_tasks(run, facts)
    check_preprocessing(facts, store, run.path)
    network = load_transformer(run.encoder) if is_transformer_run(run) else load_encoder(run.encoder)
    calibrating, checking = split_rows(store.subject, settings)
    windows = np.array(store.windows[checking], np.float32)
    deciding, labels = deciders(tasks, store, checking)
    machine = prepare_machine(Execution(device="cpu", precision="fp32"))
    reference = embed(network, windows, machine)
    encoder = encoder_facts(network.shape) if isinstance(network, Trunk) else facts["encoder"]

    report: GateReport | None = None
    given = np.array(store.windows[calibrating], np.float32)
    for candidate in candidates(run, given, settings.float_convs, quantiser, on_window):
        quantisation = {
            "float_convs": candidate.float_convs, "calibration_windows": len(given), "seed": settings.seed,
        }  # fmt: skip
        manifest = _manifest(facts, tasks, settings, encoder, quantisation)
        files = _files(run, facts, tasks)
        encoders = {name: candidate.encoders[name] for name in ENGINES if name in candidate.encoders}
        whole = _bundle(manifest, files, encoders)
        embeddings = {name: open_encoder(whole, name).embed(windows) for name in encoders}
        report = GateReport(
            windows=len(windows),
            people=len(np.unique(store.subject[checking])),
            engines=[
                compare(name, each, reference, deciding, labels, settings.min_confidence)
                for name, each in embeddings.items()
            ],
            layers=candidate.layers(windows[:: -(-len(windows) // _LAYER_WINDOWS)]),
        )
        if report.failures:
            say(f"{candidate.text}: {'; '.join(report.failures)}")
            continue
        shipped = {
            name: data for name, data in encoders.items() if not (settings.lean and name.endswith("fp32"))
        }
        rows = np.linspace(0, len(windows) - 1, _GOLDEN_WINDOWS).round().astype(int)
        first = embeddings[next(iter(shipped))]
        golden = Golden(
            windows[rows],
            {name: embeddings[name][rows] for name in shipped},
            {task: deciding[task].probabilities(first)[rows] for task in tasks},
        )
        manifest = replace(
            manifest, training={**manifest.training, "gate": report.to_json()}, engines=_engines(shipped)
        )
        data = _pack(manifest, {**files, GOLDEN_NAME: golden.to_bytes()}, shipped)
        return Exported(data, report, candidate.float_convs, settings.min_confidence)
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


def _manifest(
    facts: Mapping[str, Any],
    tasks: Mapping[str, ShippedTask],
    settings: ExportSettings,
    encoder: Mapping[str, Any],
    quantisation: Mapping[str, Any],
) -> Manifest:
    preprocessing = facts.get("preprocessing") or facts.get("pretext", {}).get("preprocessing") or {}
    training = {key: facts[key] for key in ("pretext", "supervised", "emotion") if key in facts}
    for stage in training.values():
        # Curves and places on the training machine are of no use on a device.
        for key in ("history", "store", "path"):
            if isinstance(stage, dict):
                stage.pop(key, None)
    known = {field.name for field in fields(EncoderSpec)}
    return Manifest(
        name=settings.name,
        version=settings.version,
        created=settings.created.isoformat(timespec="seconds"),
        minimum_runtime=MINIMUM_RUNTIME,
        input=InputSpec(preprocessing=Preprocessing(**preprocessing)),
        encoder=EncoderSpec(**{key: value for key, value in encoder.items() if key in known}),
        tasks={
            name: TaskSpec(
                labels=task.labels,
                head=_head_file(name),
                min_confidence=settings.min_confidence,
                features=task.features,
                personal_head=None if task.personal_head is None else _head_file(f"{name}.personal"),
                personal_features=task.personal_features,
                context_s=task.context_s,
            )
            for name, task in tasks.items()
        },
        engines={},
        training={**training, "quantisation": dict(quantisation)},
        card=facts.get("card", {}),
    )


def _head_file(name: str) -> str:
    return f"heads/{name}.npz"


def _files(run: RunDir, facts: Mapping[str, Any], tasks: Mapping[str, ShippedTask]) -> dict[str, bytes]:
    files = {}
    for name, task in tasks.items():
        for part, head in ((name, task.head), (f"{name}.personal", task.personal_head)):
            if head is not None:
                stream = io.BytesIO()
                head.save(stream)
                files[_head_file(part)] = stream.getvalue()
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
    data = _pack(replace(manifest, engines=_engines(encoders)), files, encoders)
    # Not signed yet, and made right here: whom this machine trusts does not matter.
    return read_bundle(io.BytesIO(data), trust=TrustedKeys())
