"""SWELL-KW: office work under neutral conditions, time pressure and interruptions; Mobi recorder, 2048 Hz."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from edge_ecg.errors import DataError
from edge_ecg.samples import FloatArray
from edge_ecg.sources.files.recording import check_rate

from .base import Dataset, Form, Recording, Span
from .ecg_channel import holds_ecg
from .files import failing
from .poly5 import Poly5, open_poly5
from .swell_tables import BEHAVIOUR, OVERVIEW, Block, Blocks, read_blocks

_PATTERN = "*.[sS]00"
# pp1_18-9-2012_c1, pp10_..-c1, pp23_.._c2_cont: person, date of any form, block, and what follows.
_NAME = re.compile(r"pp(\d+)[_-].*[_-]c(\d)(?:[_-](\w+))?", re.IGNORECASE)
# The heart's channel by name; "Pre" is the recorder's filtered one. Failing a name: the places, from 0, where
# the owners' own reader (8th, filtered) and later users (6th, raw) found it.
_NAMED = re.compile(r"heart(?!.*(rate|beat|freq))|ecg|ekg", re.IGNORECASE)
_PLACES = (7, 5)
# Recordings that CEitanC/Emotion_Recognition_from_ECG found to hold no usable ECG: person, block and suffix.
_BAD = {
    *((person, f"c{block}") for person in (8,) for block in (1, 2, 3)),
    *((person, f"c{block}") for person in (4, 20) for block in (1, 2)),
    *((person, f"c{block}") for person in (15, 22, 25) for block in (2, 3)),
    *((10, "c2"), (11, "c1"), (11, "c3"), (16, "c2"), (23, "c2_cont"), (24, "c3"), (3, "c1")),
}


class Swell(Dataset):
    """One recording a block, three a person.

    Fields of its annotations: condition (N neutral, T time pressure, I interruptions), block (1 to 3, the
    order of recording, which is not the condition), and the questionnaire's answers: arousal, valence,
    dominance, stress_rating, mental_effort, frustration.

    Parameters
    ----------
    channel:
        Name or number (from 0) of the ECG's channel in all files; None to find it.

    """

    name = "swell"
    title = "SWELL Knowledge Work: physiology (Mobi) while working under stressors"
    people = 25
    hours = 50.0
    caution = (
        "One label a block of 30 to 45 minutes, so windows of a block share it and nothing but a split by "
        "people is fair; a block's recording may begin with relaxation; the channel that holds the ECG is "
        "not documented and was found by its name and its R peaks; 20 recordings are known to be bad."
    )
    licence = "on request (DANS); no commercial use"
    citation = (
        "Koldijk S, Sappelli M, Verberne S, Neerincx MA, Kraaij W. The SWELL Knowledge Work Dataset for "
        "Stress and User Modeling Research. ICMI 2014, 291-298."
    )
    url = "https://doi.org/10.17026/dans-x55-69zp"
    forms = (
        Form(
            "TMS32",
            (
                _PATTERN,
                f"Mobi signals*/{_PATTERN}",
                f"D - Physiology*/*/{_PATTERN}",
                f"0 - Raw data/*/*/{_PATTERN}",
                f"*/0 - Raw data/*/*/{_PATTERN}",
            ),
            ("swell", "SWELL", "SWELL-KW", "0_SWELL"),
        ),
    )

    def __init__(self, channel: str | None = None) -> None:
        self.channel = channel

    def with_channel(self, channel: str) -> Swell:
        """The same set, with the ECG's channel given by name or number."""
        return Swell(channel)

    def _expected(self, form: Form) -> Iterable[str]:
        return ()

    def _missing(self, folder: Path, form: Form) -> list[str]:
        """Blocks that have no recording, and the tables."""
        found = {(int(name[1]), int(name[2])) for path in _files(folder) if (name := _parse(path))}
        blocks = [(person, block) for person in range(1, self.people + 1) for block in (1, 2, 3)]
        missing = [f"pp{person}_*_c{block}.S00" for person, block in blocks if (person, block) not in found]
        tables = _tables(folder)
        return [*missing, *([] if BEHAVIOUR in tables else [BEHAVIOUR])]

    def _recordings(self, folder: Path, form: Form) -> Iterator[Recording]:
        blocks = read_blocks(_tables(folder))
        for path in _files(folder):
            yield self._recording(path, blocks)

    def _recording(self, path: Path, blocks: Blocks) -> Recording:
        found = _parse(path)
        try:
            if found is None:
                raise DataError(
                    f"{path.name} is not named as SWELL-KW names its recordings.",
                    why="ppPERSON_DATE_cBLOCK.S00 is expected.",
                    remedy="Give it its name back, or move it away.",
                )
            file = open_poly5(path)
            check_rate(path, file.fs_hz)
            index, plausible = self._ecg_channel(file)
        except DataError as error:
            subject = f"swell/{path.stem}" if found is None else f"swell/pp{int(found[1]):02}"
            return Recording(self.name, subject, path.stem, "ECG", 1.0, 0, partial(failing, error))
        person, block, rest = int(found[1]), int(found[2]), found[3]
        session = f"c{block}" + (f"_{rest.lower()}" if rest else "")
        values = blocks.get((person, block), Block()).values(block)
        return Recording(
            dataset=self.name,
            subject=f"swell/pp{person:02}",
            session=session,
            lead=file.channels[index].name or f"channel {index}",
            fs_hz=file.fs_hz,
            n_samples=file.n_samples,
            load=partial(_load_mv, file, index),
            usable=plausible and (person, session) not in _BAD,
            spans=(Span(0.0, file.n_samples / file.fs_hz, values),),
        )

    def _ecg_channel(self, file: Poly5) -> tuple[int, bool]:
        """Index of the ECG's channel, and whether it looks like one."""
        names = [channel.name for channel in file.channels]
        if self.channel is not None:
            index = _given(file, names, self.channel)
            return index, _looks_like_ecg(file, index)
        named = [index for index, name in enumerate(names) if _NAMED.search(name)]
        named.sort(key=lambda index: "pre" not in names[index].lower())
        candidates = named or [index for index in _PLACES if index < len(names)]
        if not candidates:
            raise DataError(
                f"{file.path.name} has no channel that could be the ECG.",
                why=f"Its channels are {_listed(names)}.",
                remedy="Say which it is: --channel NAME or --channel NUMBER.",
            )
        for index in candidates:
            if _looks_like_ecg(file, index):
                return index, True
        return candidates[0], False


def _given(file: Poly5, names: list[str], wanted: str) -> int:
    same = [index for index, name in enumerate(names) if name.casefold() == wanted.strip().casefold()]
    if same:
        return same[0]
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    raise DataError(
        f"{file.path.name} has no channel {wanted!r}.",
        why=f"Its channels are {_listed(names)}.",
        remedy="Give one of these names, or the number in front of it.",
    )


def _listed(names: list[str]) -> str:
    return ", ".join(f"{index}: {name or '(no name)'}" for index, name in enumerate(names))


def _looks_like_ecg(file: Poly5, index: int) -> bool:
    def read(first_s: float, seconds: float) -> FloatArray:
        return file.read(index, round(first_s * file.fs_hz), round(seconds * file.fs_hz))

    return holds_ecg(read, file.fs_hz, file.n_samples / file.fs_hz)


def _load_mv(file: Poly5, index: int) -> FloatArray:
    """Millivolts; a channel without a unit of voltage holds microvolts, as the owners' reader takes them."""
    factor = file.channels[index].mv_per_unit
    return file.read(index) * (1e-3 if factor is None else factor)


def _files(folder: Path) -> list[Path]:
    def order(path: Path) -> tuple[int, str]:
        found = _parse(path)
        return (int(found[1]) if found else 1 << 30, path.name)

    return sorted((path for path in folder.rglob(_PATTERN) if path.is_file()), key=order)


def _parse(path: Path) -> re.Match[str] | None:
    return _NAME.fullmatch(path.stem)


def _tables(folder: Path) -> dict[str, Path]:
    """The spreadsheets below the folder, or beside the folders above it, as the set is unpacked."""
    found: dict[str, Path] = {}
    for name in (BEHAVIOUR, OVERVIEW):
        places = [*sorted(folder.rglob(name)), *(parent / name for parent in folder.absolute().parents[:3])]
        path = next((place for place in places if place.is_file()), None)
        if path is not None:
            found[name] = path
    return found
