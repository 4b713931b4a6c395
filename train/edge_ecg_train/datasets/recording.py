"""What a reader gives: recordings in millivolts with the owners' annotations; and what a check finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_ecg.errors import DataError
from edge_ecg.samples import FloatArray

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
