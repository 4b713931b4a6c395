"""Stage one of a sweep: the windows and the encoders that its systems need, each made once.

Stores and encoders go below the sweep's cache under names made of everything they depend on, so that another
sweep, or the same one after an interruption, finds them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_ecg.errors import DataError, UsageError
from edge_ecg.model import bundled

from ..datasets import Recording, get_dataset
from ..datasets.labeller import labelling
from ..embeddings import BUNDLED, EncoderName, encoder_sha256
from ..networks import TrunkShape
from ..prepare import prepare
from ..pretext import run_pretext
from ..recipe import load_recipe, make
from ..run_dir import RunDir
from ..store import WindowStore
from ..transformer.masked import MaskedConfig, run_masked
from .sweep_recipe import Sources

OnRecording = Callable[[Recording], None]
Say = Callable[[str], None]

_TABLE_BYTES = 1 << 20
"""Tables of labels are smaller than that, and recordings larger, or soon read."""


@dataclass(frozen=True, slots=True)
class RandomEncoder:
    """``{random: SEED}``: untrained; ``padding`` and ``pooling`` as of a trunk, ``name`` as printed."""

    random: int
    padding: str = "same"
    pooling: str = "max"
    name: str = ""


@dataclass(frozen=True, slots=True)
class RunEncoder:
    """``{run: PATH}``: of a run that was trained before; ``step``: as it was kept after so many steps."""

    run: str
    step: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class PretextEncoder:
    """``{pretext: RECIPE, sets: [NAMES]}``: pretrained on the fly.

    Attributes
    ----------
    pretext:
        A training recipe with a stage [pretext] or [masked].
    sets:
        Data sets to pretrain on; they are prepared as the sweep's are, but without overlap.
    hop_s:
        Seconds from window to window.
    name:
        As printed.

    """

    pretext: str
    sets: tuple[str, ...]
    hop_s: int = 10
    name: str = ""


@dataclass(frozen=True, slots=True)
class StagedEncoder:
    """An encoder that is ready.

    Attributes
    ----------
    name:
        As printed.
    source:
        What :func:`edge_ecg_train.embeddings.task_embeddings` takes; may hold a path.
    sha256:
        Of its weights: stands for it in a cell's config.

    """

    name: str
    source: EncoderName
    sha256: str

    @property
    def facts(self) -> dict[str, Any]:
        """What the card says of it; no path."""
        return {"name": self.name, "sha256": self.sha256, **pretrained_on(self.source)}


def pretrained_on(encoder: EncoderName) -> dict[str, list[str] | None]:
    """Return names of the ``datasets`` and ``subjects`` that an encoder has seen; None where not recorded.

    Raises
    ------
    DataError
        If the run is none.

    """
    if encoder == BUNDLED:
        return _trained_on(bundled().manifest.training.get("pretext"))
    if isinstance(encoder, Mapping) and "run" in encoder:
        return _run_trained_on(RunDir(Path(encoder["run"])).read_json())
    return {"datasets": [], "subjects": []}


def _run_trained_on(facts: Mapping[str, Any]) -> dict[str, list[str] | None]:
    """What the encoder of a run has seen; training from labels, after pretraining or without, counts too."""
    if "supervised" not in facts:
        return _trained_on(facts.get("pretext"))
    stages = [facts["supervised"], *([facts["pretext"]] if "pretext" in facts else [])]
    seen = [_trained_on(stage)["datasets"] for stage in stages]
    known = [names for names in seen if names is not None]
    whole = len(known) == len(seen)
    return {
        "datasets": sorted({one for names in known for one in names}) if whole else None,
        "subjects": None,
    }


def digest_of(values: object) -> str:
    """SHA-256 of plain values, 24 hexadecimal digits."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:24]


def stage_store(
    sources: Sources, root: Path, cache: Path, on_recording: OnRecording | None = None
) -> WindowStore:
    """Prepare the windows of data sets, or find them prepared.

    Parameters
    ----------
    sources:
        Which, and how.
    root:
        The folder that holds them.
    cache:
        Stores lie in ``cache/stores``.
    on_recording:
        Called after each recording, when they are prepared.

    Raises
    ------
    DataError
        As :func:`edge_ecg_train.prepare.prepare`.
    UsageError
        When a data set is unknown.

    """
    sets = [(get_dataset(name), root) for name in sources.sets]
    contents = {dataset.name: _contents(dataset.locate(root)[0]) for dataset, root in sets}
    preparation = sources.preparation
    key = digest_of(
        {
            "contents": contents,
            "preparation": {**asdict(preparation), **preparation.preprocessing},
            "labels": {
                dataset.name: {task: list(names) for task, names in dataset.tasks(root).items()}
                for dataset, root in sets
            },
            "rules": labelling(
                preparation.labels, {dataset.name: dataset.rules(root) for dataset, root in sets}
            ),
        }
    )
    place = cache / "stores" / f"{'+'.join(sources.sets)}-{key}"
    try:
        return WindowStore.open(place)
    except DataError:
        place.parent.mkdir(parents=True, exist_ok=True)
        return prepare(sets, place, preparation, overwrite=True, on_recording=on_recording)


def _contents(folder: Path) -> list[list[object]]:
    """Names and sizes of a folder's files: enough to notice that recordings were added or got again.

    Of tables of labels also what they say: one word for another of the same length is another label.
    """
    return sorted(
        [path.relative_to(folder).as_posix(), path.stat().st_size, *_said(path)]
        for path in folder.rglob("*")
        if path.is_file()
    )


def _said(path: Path) -> list[str]:
    small = path.stat().st_size <= _TABLE_BYTES
    return [hashlib.sha256(path.read_bytes()).hexdigest()] if small else []


def stage_encoder(spec: Any, sources: Sources, root: Path, cache: Path, say: Say) -> StagedEncoder:
    """Make the encoder that a recipe names, or find it made.

    Parameters
    ----------
    spec:
        ``"bundled"``, or a table as :class:`RandomEncoder`, :class:`RunEncoder` or :class:`PretextEncoder`
        describe it.
    sources:
        Of the sweep: pretraining prepares its windows in the same way.
    root, cache:
        As for :func:`stage_store`; encoders lie in ``cache/encoders``.
    say:
        Is told what takes long.

    Raises
    ------
    UsageError
        When the table makes no sense.
    DataError
        When a run holds no encoder, or pretraining data is missing.

    """
    if spec == BUNDLED:
        return _staged("bundled int8 encoder", BUNDLED)
    if isinstance(spec, Mapping) and "random" in spec:
        untrained = make(RandomEncoder, spec, "encoder")
        shape = make(TrunkShape, {"padding": untrained.padding, "pooling": untrained.pooling}, "encoder")
        pooling = "" if shape.pooling == "max" else f", {shape.pooling}"
        name = untrained.name or f"random trunk{pooling}"
        return _staged(name, {"random": untrained.random, **asdict(shape)})
    if isinstance(spec, Mapping) and "run" in spec:
        trained = make(RunEncoder, spec, "encoder")
        return _of_run(Path(trained.run).expanduser(), trained.name, trained.step)
    if isinstance(spec, Mapping) and "pretext" in spec:
        planned = make(PretextEncoder, spec, "encoder")
        return _of_run(_pretrain(planned, sources, root, cache, say), planned.name)
    raise UsageError(
        f"There is no encoder {spec!r}.",
        remedy="Use bundled, {run: PATH}, {pretext: RECIPE, sets: [NAMES]} or {random: SEED}.",
    )


def _staged(name: str, source: EncoderName) -> StagedEncoder:
    return StagedEncoder(name, source, encoder_sha256(source))


def _of_run(path: Path, name: str, step: int = 0) -> StagedEncoder:
    facts = RunDir(path).read_json()
    recipe = facts.get("pretext", {}).get("recipe")
    name = name or f"pretrained: {recipe or facts.get('name', path.name)}{f', {step} steps' * bool(step)}"
    source: dict[str, str | int] = {"run": str(path.resolve())}
    return _staged(name, {**source, "step": step} if step else source)


def _trained_on(pretext: Any) -> dict[str, list[str] | None]:
    """Names of the data sets and people that a pretraining's record tells of."""
    if not isinstance(pretext, Mapping) or "datasets" not in pretext:
        return {"datasets": None, "subjects": None}
    entries = [one if isinstance(one, Mapping) else {"name": str(one)} for one in pretext["datasets"]]
    return {"datasets": [str(one["name"]) for one in entries], "subjects": pretext.get("subjects")}


def _pretrain(entry: PretextEncoder, sources: Sources, root: Path, cache: Path, say: Say) -> Path:
    """Pretrain into a folder named after recipe and windows; a run that was interrupted there goes on."""
    recipe = load_recipe(entry.pretext)
    config = recipe.pretext
    if config is None:
        raise UsageError(
            f"The recipe {entry.pretext} has no stage that pretrains an encoder.",
            remedy="Name another one, such as quick.",
        )
    chosen = Sources(
        sets=entry.sets,
        hop_s=entry.hop_s,
        normalisation=sources.normalisation,
        notch_hz=sources.notch_hz,
    )
    store = stage_store(chosen, root, cache)
    kind = type(config).__name__
    key = digest_of({"kind": kind, "config": asdict(config), "store": store.path.name})
    run = RunDir(cache / "encoders" / f"{recipe.name}-{key}")
    if run.encoder.is_file() and run.read_json()["pretext"].get("finished"):
        return run.path
    say(f"pretraining {recipe.name} on {', '.join(entry.sets)}: {config.steps} steps, {len(store)} windows")
    facts = {
        "recipe": recipe.name,
        "store": store.path.name,
        "datasets": list(store.info["datasets"]),
        "subjects": sorted({str(one) for one in store.subject}),
        "preprocessing": dict(store.preprocessing),
        "preprocessing_hash": store.preprocessing_hash,
    }
    if isinstance(config, MaskedConfig):
        run_masked(store.windows, store.subject, config, run.path, resume=True, facts=facts)
    else:
        run_pretext(store.windows, store.subject, config, run.path, resume=True, facts=facts)
    return run.path
