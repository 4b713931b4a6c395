"""What a data set is to edge-ecg: a folder that can be checked and that yields recordings in millivolts.

A reader is one class of 60 lines or so. It names its owners and its licence, knows the file forms in which
the set is passed around, and gives :class:`Recording` objects that load their samples only when asked.
Nothing is filtered, scaled, dropped or judged here: a reader gives the owners' annotations as they are
(:class:`Span`), :mod:`~edge_ecg_train.datasets.label_rules` makes classes of them, and
:mod:`edge_ecg_train.prepare` filters and scales with the classes that run live.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from edge_ecg.errors import DataError, UsageError
from edge_ecg.samples import FloatArray

from .label_rules import Rule, bundled_rules

Value = float | str
"""What an annotation says: a rating or a word, as the owners wrote it."""


@dataclass(frozen=True, slots=True)
class Span:
    """An annotated stretch of a recording; outside all spans a window has no label.

    Attributes
    ----------
    start_s, end_s:
        Seconds from the recording's first sample; the end does not belong to it.
    values:
        Field to value, such as ``{"condition": "stress"}`` or ``{"arousal": 6.3, "valence": 2.0}``. The rules
        of ``tasks.toml`` name these fields.

    """

    start_s: float
    end_s: float
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Recording:
    """One uninterrupted recording of one lead of one person.

    Attributes
    ----------
    dataset:
        Name of the data set, such as ``eegmat``.
    subject:
        The person, unique over all data sets: ``eegmat/S00``. Two excerpts of the same person carry the same
        name, also across data sets (QTDB holds excerpts of MIT-BIH records).
    session:
        Which of the person's recordings this is, unique within the person.
    lead:
        Name of the lead as the owners give it.
    fs_hz, n_samples:
        Sampling rate, and how many samples ``ecg_mv`` is going to give.
    labels:
        Task to class number, one for the whole recording; empty when there is none.
    spans:
        The owners' annotations, from which the rules of ``tasks.toml`` make classes.
    usable:
        False where it is known that the electrode was off.
    load:
        Gives the (n_samples,) float64 millivolts, NaN where samples were lost; raises :class:`DataError` when
        the file is damaged.

    """

    dataset: str
    subject: str
    session: str
    lead: str
    fs_hz: float
    n_samples: int
    load: Callable[[], FloatArray] = field(repr=False, compare=False)
    labels: Mapping[str, int] = field(default_factory=dict)
    usable: bool = True
    spans: tuple[Span, ...] = ()

    def ecg_mv(self) -> FloatArray:
        """Read the samples: (n_samples,) float64, millivolts, NaN where the recorder lost some.

        Raises
        ------
        DataError
            When the file is damaged or holds another number of samples than its table says.

        """
        ecg_mv = self.load()
        if ecg_mv.shape != (self.n_samples,):
            raise DataError(
                f"{self.subject} {self.session} holds {ecg_mv.shape[-1]} samples, not {self.n_samples}.",
                why="The file is cut short or does not belong to its table.",
                remedy="Get the file again.",
            )
        return ecg_mv

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.fs_hz


@dataclass(frozen=True, slots=True)
class Report:
    """What a look at a data set folder found.

    ``missing`` names files, ``damaged`` maps a file or recording to what is wrong with it; ``unusable``
    counts recordings that are whole but known to hold no ECG.
    """

    dataset: str
    folder: Path
    form: str
    subjects: int
    recordings: int
    minutes: float
    unusable: int = 0
    missing: tuple[str, ...] = ()
    damaged: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """True when nothing is missing and nothing is damaged."""
        return not self.missing and not self.damaged

    def to_json(self) -> dict[str, object]:
        """Plain values for ``--json``."""
        return {
            "type": "check",
            "dataset": self.dataset,
            "folder": str(self.folder),
            "form": self.form,
            "complete": self.complete,
            "subjects": self.subjects,
            "recordings": self.recordings,
            "minutes": round(self.minutes, 2),
            "unusable": self.unusable,
            "missing": list(self.missing),
            "damaged": dict(self.damaged),
        }


@dataclass(frozen=True, slots=True)
class Form:
    """One way in which a data set is passed around.

    Attributes
    ----------
    name:
        ``arrays``, ``EDF`` or ``WFDB``.
    files:
        Names or patterns; a folder that holds any of them holds the data set in this form.
    folders:
        Usual names of that folder, looked for below the folder that the user gives.

    """

    name: str
    files: tuple[str, ...]
    folders: tuple[str, ...]


class Dataset(ABC):
    """A reader. Subclasses set the class attributes and implement :meth:`_recordings` and :meth:`_expected`.

    ``people`` and ``hours`` describe the published set, whatever a folder holds of it. ``labels`` are the
    classes of tasks that a reader labels itself, a whole recording at a time; all other tasks come from the
    rules of ``tasks.toml``. ``caution`` is what whoever reads numbers from it must know. ``forms`` are tried
    in order.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    people: ClassVar[int]
    hours: ClassVar[float]
    labels: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    caution: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    url: ClassVar[str]
    forms: ClassVar[tuple[Form, ...]]

    @abstractmethod
    def _recordings(self, folder: Path, form: Form) -> Iterator[Recording]:
        """Yield the recordings that the folder should hold and whose files are there."""

    def _missing(self, folder: Path, form: Form) -> list[str]:
        """Names of files that belong to the form and are not in the folder."""
        return [name for name in self._expected(form) if not (folder / name).is_file()]

    @abstractmethod
    def _expected(self, form: Form) -> Iterable[str]:
        """Names of all files that belong to the form."""

    def with_channel(self, channel: str) -> Dataset:
        """The same set, with the ECG's channel given by name or number.

        Raises
        ------
        UsageError
            When the set leaves no choice.

        """
        raise UsageError(
            f"The channel of {self.name} cannot be chosen.",
            why="Its reader knows where the ECG is.",
            remedy="Leave out --channel.",
        )

    def rules(self, root: Path | None = None) -> tuple[Rule, ...]:
        """How this set's annotations become classes; ``root`` for a set that brings its own rules."""
        return bundled_rules().get(self.name, ())

    def tasks(self, root: Path | None = None) -> dict[str, tuple[str, ...]]:
        """Task to the names of its classes, by the reader and by the rules."""
        return {**self.labels, **{rule.task: rule.names for rule in self.rules(root)}}

    def recordings(self, root: Path) -> Iterator[Recording]:
        """Yield all recordings below ``root``: the data set's folder or the folder that holds it.

        Raises
        ------
        DataError
            When ``root`` holds no such data set, or its table cannot be read.

        """
        folder, form = self.locate(root)
        yield from self._recordings(folder, form)

    def locate(self, root: Path) -> tuple[Path, Form]:
        """Find the data set at or directly below ``root``.

        Raises
        ------
        DataError
            When it is not there: says what was expected and what was found.

        """
        for form in self.forms:
            for folder in (root, *(root / name for name in form.folders)):
                if folder.is_dir() and any(any(folder.glob(pattern)) for pattern in form.files):
                    return folder, form
        raise _not_this_dataset(self, root)

    def check(self, root: Path) -> Report:
        """Read every sample and report what is missing and what is damaged.

        Raises
        ------
        DataError
            When ``root`` holds no such data set at all.

        """
        folder, form = self.locate(root)
        missing = self._missing(folder, form)
        damaged: dict[str, str] = {}
        whole: list[Recording] = []
        try:
            for recording in self._recordings(folder, form):
                try:
                    recording.ecg_mv()
                    whole.append(recording)
                except DataError as error:
                    damaged[f"{recording.subject} {recording.session}"] = str(error)
        except DataError as error:
            damaged[folder.name] = str(error)
        # Two leads of one recording are one stretch of a person's time.
        seconds = {(one.subject, one.session.split(".")[0]): one.duration_s for one in whole}
        return Report(
            dataset=self.name,
            folder=folder,
            form=form.name,
            subjects=len({one.subject for one in whole}),
            recordings=len(whole),
            minutes=sum(seconds.values()) / 60.0,
            unusable=sum(not one.usable for one in whole),
            missing=tuple(missing),
            damaged=damaged,
        )


def _not_this_dataset(dataset: Dataset, root: Path) -> DataError:
    expected = " or ".join(f"{form.files[0]} ({form.name})" for form in dataset.forms)
    if not root.is_dir():
        found = "There is no such folder."
    else:
        names = sorted(entry.name for entry in root.iterdir())
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        found = f"The folder holds {shown}." if names else "The folder is empty."
    get = f"Get it from {dataset.url}, or give" if dataset.url else "Give"
    return DataError(
        f"{root} does not hold the data set {dataset.name}.",
        why=f"{found} Expected {expected}.",
        remedy=f"{get} --root the folder that holds it.",
    )
