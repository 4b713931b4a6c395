"""Stress Recognition in Automobile Drivers: ECG at rest and while driving around Boston."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from .base import Dataset, Form, Recording, Span
from .files import file_recording

_RECORDS = "drive*.hea"
_NAMES = (*(f"drive{number:02}" for number in range(1, 17)), "drive17a", "drive17b")
# The protocol (Healey and Picard, section III): 15 minutes of rest, the drive, 15 minutes of rest. The
# margins keep clear of the way to the traffic and of rests that were cut short.
_REST_S = (60.0, 14 * 60.0)
_DRIVE_FROM_S = 18 * 60.0


class Drivedb(Dataset):
    """One recording a drive; drive 17 is in two parts, the first begins and the second ends with rest.

    Field of its annotations: phase (rest, drive), from the place in the protocol.
    """

    name = "drivedb"
    title = "Stress Recognition in Automobile Drivers"
    people = 17
    hours = 20.0
    caution = (
        "Nobody annotated stress: the phases are told from the protocol (about 15 minutes of rest before and "
        "after the drive); driving is movement as well as stress; some people drove several times and are "
        "not named, so each drive counts as a person."
    )
    licence = "ODC-BY-1.0"
    citation = (
        "Healey JA, Picard RW. Detecting Stress During Real-World Driving Tasks Using Physiological Sensors. "
        "IEEE Transactions on Intelligent Transportation Systems 6(2):156-166, 2005."
    )
    url = "https://physionet.org/content/drivedb/1.0.0/"
    forms = (
        Form(
            "WFDB",
            (_RECORDS,),
            ("drivedb", "drivedb-drive17", "stress-recognition-in-automobile-drivers-1.0.0"),
        ),
    )

    def _expected(self, form: Form) -> Iterable[str]:
        return [f"{name}{ending}" for name in _NAMES for ending in (".hea", ".dat")]

    def _recordings(self, folder: Path, form: Form) -> Iterator[Recording]:
        for header in sorted(folder.glob(_RECORDS)):
            drive = header.stem.removeprefix("drive")

            def spans(duration_s: float, drive: str = drive) -> tuple[Span, ...]:
                return _phases(duration_s, rest_first=drive != "17b", rest_last=drive != "17a")

            yield file_recording(
                header,
                "ECG",
                dataset=self.name,
                subject=f"drivedb/{drive.rstrip('ab')}",
                session=header.stem,
                spans=spans,
            )


def _phases(duration_s: float, *, rest_first: bool, rest_last: bool) -> tuple[Span, ...]:
    """Rest and drive by their distance from the ends of the recording that are ends of the protocol."""
    begin = _DRIVE_FROM_S if rest_first else 0.0
    end = duration_s - (_DRIVE_FROM_S if rest_last else 0.0)
    phases = [("rest", *_REST_S)] if rest_first else []
    phases.append(("drive", begin, end))
    if rest_last:
        phases.append(("rest", duration_s - _REST_S[1], duration_s - _REST_S[0]))
    # A recording too short for its phases has none that could be told.
    edges = [edge for _, first, last in phases for edge in (first, last)]
    if edges != sorted(edges) or edges[0] < 0.0:
        return ()
    return tuple(Span(first, last, {"phase": phase}) for phase, first, last in phases)
