"""Recordings to windows, through the very classes that run live.

A recording is pushed through :class:`~edge_ecg.signal.chain.WindowChain` at one tick a second, as a live
stream is; of its good windows one every ``hop_s`` seconds is kept. The scale is calibrated as in live use:
every good window that overlaps none used before takes part *first*, then the window is normalised with the
scale as it is by then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import DataError, UsageError
from edge_ecg.samples import FloatArray, SampleBlock
from edge_ecg.signal.chain import SETTLE_S, WINDOW_SAMPLES, WindowChain
from edge_ecg.signal.iir import HIGH_PASS_HZ, high_pass, notch
from edge_ecg.signal.normalise import TRIM, CalibratedNormaliser, Scale, trimmed_scale
from edge_ecg.signal.quality import Quality, assess
from edge_ecg.signal.resample import MODEL_FS_HZ, Resampler
from edge_ecg.signal.segment import Window

from .datasets import Dataset, Recording
from .datasets.label_rules import Rule
from .datasets.labeller import LABELS, Labeller, labelling
from .store import WindowStore
from .store_writer import StoreWriter, WindowMeta

NORMALISATIONS = ("calibrated", "recording")
DEFAULT_HOP_S = 10
WINDOW_S = WINDOW_SAMPLES / MODEL_FS_HZ
_BLOCK_S = 60.0


@dataclass(frozen=True, slots=True)
class Preparation:
    """How recordings become windows.

    Attributes
    ----------
    hop_s:
        Whole seconds between the starts of two kept windows; 10 means no overlap.
    normalisation:
        ``calibrated`` is causal, as live; ``recording`` takes the scale from the whole recording, as in the
        papers.
    notch_hz:
        Mains frequency to remove, or None.
    keep_bad:
        Keep windows that the quality check refuses, too.
    labels:
        ``whole``: only a window that lies wholly within one annotated stretch has its label; ``max``: the
        largest value in the window decides (:class:`~edge_ecg_train.datasets.labeller.Labeller`).

    """

    hop_s: int = DEFAULT_HOP_S
    normalisation: str = "calibrated"
    notch_hz: float | None = None
    keep_bad: bool = False
    labels: str = LABELS[0]

    def __post_init__(self) -> None:
        if self.normalisation not in NORMALISATIONS:
            raise UsageError(
                f"There is no normalisation {self.normalisation!r}.",
                remedy=f"Take {' or '.join(NORMALISATIONS)}.",
            )
        if self.labels not in LABELS:
            raise UsageError(
                f"There is no way {self.labels!r} to label.", remedy=f"Take {' or '.join(LABELS)}."
            )
        if not (float(self.hop_s).is_integer() and self.hop_s >= 1):
            raise UsageError(
                f"A hop of {self.hop_s:g} s is not possible.", remedy="Take whole seconds, 1 or more."
            )

    @property
    def preprocessing(self) -> dict[str, object]:
        """All constants that change a window's values, in the words of the bundle's manifest."""
        return {
            "highpass_hz": HIGH_PASS_HZ,
            "highpass_order": 2,
            "notch_hz": self.notch_hz,
            "normalisation": self.normalisation,
            "trim": TRIM,
        }


@dataclass(frozen=True, slots=True)
class PreparedWindow:
    """A window on its way into the store: (2560,) float32 normalised, where it began, and how good it is."""

    samples: NDArray[np.float32]
    start_s: float
    quality: Quality


def prepare(
    sets: Sequence[tuple[Dataset, Path]],
    store: Path,
    preparation: Preparation,
    *,
    overwrite: bool = False,
    on_recording: Callable[[Recording], None] | None = None,
) -> WindowStore:
    """Write the windows of one or more data sets into one store.

    Parameters
    ----------
    sets:
        Data sets, each with the folder that holds it.
    store:
        The folder to write.
    preparation:
        How.
    overwrite:
        Replace a store that is already there.
    on_recording:
        Called after each recording, for a progress display.

    Raises
    ------
    DataError
        When a folder is not the data set, a file is damaged, not one window is good, or ``store`` cannot be
        written. Nothing is left behind then.

    """
    labels: dict[str, tuple[str, ...]] = {}
    rules: dict[str, tuple[Rule, ...]] = {}
    for dataset, root in sets:
        _add_tasks(labels, dataset, root)
        rules[dataset.name] = dataset.rules(root)
    entries: list[dict[str, object]] = []
    private = any(dataset.private for dataset, _ in sets)
    with StoreWriter(store, overwrite=overwrite, private=private) as writer:
        for dataset, root in sets:
            labeller = Labeller(rules[dataset.name], preparation.labels)
            if labeller.needs_means:
                labeller.learn_means(dataset.recordings(root))
            before, recordings, people = len(writer), 0, set()
            for recording in dataset.recordings(root):
                if recording.usable or preparation.keep_bad:
                    for window in prepare_recording(recording, preparation):
                        writer.append(window.samples, _meta(recording, window, labeller))
                        people.add(recording.subject)
                recordings += 1
                if on_recording is not None:
                    on_recording(recording)
            entries.append(
                {
                    "name": dataset.name,
                    "title": dataset.title,
                    "licence": dataset.licence,
                    "citation": dataset.citation,
                    "url": dataset.url,
                    "caution": dataset.caution,
                    "recordings": recordings,
                    "subjects": len(people),
                    "windows": len(writer) - before,
                }
            )
        if len(writer) == 0:
            raise DataError(
                "Not one window was kept.",
                why="All recordings are shorter than 11 s or failed the quality check.",
                remedy="Look at them with: edge-ecg data check NAME --root FOLDER",
            )
        return writer.commit(
            preprocessing=preparation.preprocessing,
            labels=labels,
            datasets=[*entries],
            windowing={
                "fs_hz": MODEL_FS_HZ,
                "window_samples": WINDOW_SAMPLES,
                "hop_s": preparation.hop_s,
                "kept": "all" if preparation.keep_bad else "good",
            },
            labelling=labelling(preparation.labels, rules),
        )


def _add_tasks(tasks: dict[str, tuple[str, ...]], dataset: Dataset, root: Path) -> None:
    """Add a data set's tasks; a class number must mean the same in all sets of a store."""
    for task, names in dataset.tasks(root).items():
        if tasks.setdefault(task, names) != names:
            raise DataError(
                f"{dataset.name} has other classes for the task {task!r} than the sets before it.",
                why=f"{' / '.join(names)} instead of {' / '.join(tasks[task])}.",
                remedy="Prepare it into a store of its own.",
            )


def prepare_recording(recording: Recording, preparation: Preparation) -> Iterator[PreparedWindow]:
    """Yield the kept windows of one recording, in time order.

    Raises
    ------
    DataError
        When the recording's file is damaged.

    """
    ecg_mv = recording.ecg_mv()
    fixed = (
        _whole_scale(ecg_mv, recording.fs_hz, preparation)
        if preparation.normalisation == "recording"
        else None
    )
    normaliser = CalibratedNormaliser()
    keep_from = calibrate_from = -math.inf
    for window in _windows(ecg_mv, recording.fs_hz, preparation.notch_hz):
        due = window.start_s >= keep_from
        calibrates = fixed is None and window.start_s >= calibrate_from
        if not (due or calibrates):
            continue
        quality = assess(window)
        if calibrates and quality.good:
            normaliser.update(window.ecg_mv)
            calibrate_from = window.end_s
        scale = fixed if fixed is not None else normaliser.scale
        if due and scale is not None and (quality.good or preparation.keep_bad):
            yield PreparedWindow(scale.apply(window.ecg_mv), window.start_s, quality)
            keep_from = window.start_s + preparation.hop_s


def _windows(ecg_mv: FloatArray, fs_hz: float, notch_hz: float | None) -> Iterator[Window]:
    chain = WindowChain(fs_hz, notch_hz=notch_hz)
    step = int(_BLOCK_S * fs_hz)
    for begin, end in _whole_runs(ecg_mv):
        for first in range(begin, end, step):
            for tick in chain.push(SampleBlock(ecg_mv[first : min(first + step, end)], fs_hz, first)):
                if tick.window is not None:
                    yield tick.window
    for tick in chain.flush():
        if tick.window is not None:
            yield tick.window


def _whole_runs(ecg_mv: FloatArray) -> list[tuple[int, int]]:
    """Begin and end of every stretch without lost samples (NaN)."""
    present = np.concatenate([[False], np.isfinite(ecg_mv), [False]])
    edges = np.flatnonzero(present[1:] != present[:-1]).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def _whole_scale(ecg_mv: FloatArray, fs_hz: float, preparation: Preparation) -> Scale | None:
    """Scale of the whole filtered recording; None when it stands still, so that no window of it is kept."""
    parts = [np.zeros(0)]
    for begin, end in _whole_runs(ecg_mv):
        resampler = Resampler(fs_hz)
        x = np.concatenate([resampler.process(ecg_mv[begin:end]), resampler.flush()])
        x = high_pass(MODEL_FS_HZ).process(x)
        if preparation.notch_hz is not None:
            x = notch(MODEL_FS_HZ, preparation.notch_hz).process(x)
        parts.append(x[round(SETTLE_S * MODEL_FS_HZ) :])
    try:
        return trimmed_scale(np.concatenate(parts))
    except ValueError:
        return None


def _meta(recording: Recording, window: PreparedWindow, labeller: Labeller) -> WindowMeta:
    heart_rate = window.quality.heart_rate_bpm
    return WindowMeta(
        dataset=recording.dataset,
        subject=recording.subject,
        session=recording.session,
        lead=recording.lead,
        start_s=window.start_s,
        heart_rate_bpm=math.nan if heart_rate is None else heart_rate,
        quality=window.quality.score,
        labels=labeller.labels(recording, window.start_s, window.start_s + WINDOW_S),
    )
