"""How well R peaks are found, record by record, beside another detector in the same run.

    python benchmarks/r_peaks.py --data DIR [--against xqrs] [--lead 1] [--records r104 sel102]

DIR holds ``mitdb-subset`` and ``qtdb`` (docs/data.md). A record goes through the causal live chain (256 Hz,
0.8 Hz high-pass) and is judged twice: as one long signal, and in 10-s windows as live. The other detector
gets the record as it is, with its own default cleaning. A beat is found when a detection lies within 150 ms
of it and each is the other's nearest; nothing is done about delays. The first second (filters settling) and
what lies outside the annotated part are left out.
"""

from __future__ import annotations

import argparse
import csv
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ecg.samples import FloatArray, SampleBlock
from edge_ecg.signal import MODEL_FS_HZ, Resampler, WindowChain, detect_r_peaks, high_pass

TOLERANCE_S = 0.150
MARGIN_S = 0.5
BEAT_SYMBOLS = tuple("NLRBAaJSVrFejnE/fQ")

Beats = NDArray[np.float64]


@dataclass(frozen=True)
class Record:
    """One lead with its reference beats in seconds."""

    source: str
    name: str
    fs_hz: float
    ecg_mv: FloatArray
    beats_s: Beats


@dataclass(frozen=True)
class Score:
    """Beats, detections, and how many of them are one another's."""

    beats: int
    detections: int
    found: int
    median_error_ms: float

    @property
    def sensitivity(self) -> float:
        """Share of the beats that were found."""
        return self.found / self.beats

    @property
    def positive_predictivity(self) -> float:
        """Share of the detections that are beats."""
        return self.found / max(self.detections, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2.0 * self.found / (self.beats + self.detections)


def records(data: Path, lead: int = 0) -> Iterator[Record]:
    """All records with reference beats; of mitdb-subset there is lead 0 only."""
    if lead == 0:
        with np.load(data / "mitdb-subset" / "ecg_360hz_int16.npz") as archive:
            for name in archive.files:
                if "_" not in name:
                    yield Record(
                        "mitdb", name, 360.0, archive[name] / 200.0, archive[f"{name}_beats"] / 360.0
                    )
    folder = data / "qtdb"
    with (folder / "records.csv").open(newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["has_atr"] == "1"]
    with np.load(folder / "ecg_250hz_int16.npz") as archive, np.load(folder / "annotations.npz") as notes:
        for row in rows:
            name = row["record"]
            raw = archive[name][lead].astype(np.float64)
            ecg_mv = (raw - float(row[f"baseline{lead}"])) / float(row[f"gain{lead}_lsb_per_mv"])
            is_beat = np.isin(notes[f"{name}_atr_symbol"].astype(str), BEAT_SYMBOLS)
            yield Record("qtdb", name, 250.0, ecg_mv, notes[f"{name}_atr_sample"][is_beat] / 250.0)


def whole(record: Record) -> Beats:
    """Detections in the whole record, as the chain filters it."""
    resampler, stage = Resampler(record.fs_hz), high_pass(MODEL_FS_HZ)
    grid = np.concatenate([resampler.process(record.ecg_mv), resampler.flush()])
    return detect_r_peaks(stage.process(grid), MODEL_FS_HZ) / MODEL_FS_HZ


def in_windows(record: Record) -> tuple[Beats, float, float]:
    """Detections in 10-s windows every 9 s, without their outer half seconds, and the time they cover."""
    hop = 10.0 - 2 * MARGIN_S
    chain = WindowChain(record.fs_hz, hop_samples=round(hop * MODEL_FS_HZ))
    ticks = chain.push(SampleBlock(record.ecg_mv, record.fs_hz, 0)) + chain.flush()
    windows = [tick.window for tick in ticks if tick.window is not None]
    found = []
    for window in windows:
        peaks_s = detect_r_peaks(window.ecg_mv, MODEL_FS_HZ) / MODEL_FS_HZ
        inner = (peaks_s >= MARGIN_S) & (peaks_s < 10.0 - MARGIN_S)
        found.append(window.start_s + peaks_s[inner])
    return np.concatenate(found), windows[0].start_s + MARGIN_S, windows[-1].end_s - MARGIN_S


def neurokit(record: Record) -> Beats:
    """NeuroKit2's default pipeline."""
    import neurokit2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clean = neurokit2.ecg_clean(record.ecg_mv, sampling_rate=record.fs_hz)
        _, info = neurokit2.ecg_peaks(clean, sampling_rate=record.fs_hz)
    return np.asarray(info["ECG_R_Peaks"], dtype=np.float64) / record.fs_hz


def xqrs(record: Record) -> Beats:
    """WFDB's XQRS."""
    from wfdb import processing

    peaks = processing.xqrs_detect(record.ecg_mv, fs=record.fs_hz, verbose=False)
    return np.asarray(peaks, dtype=np.float64) / record.fs_hz


OTHERS: dict[str, Callable[[Record], Beats]] = {"neurokit": neurokit, "xqrs": xqrs}


def score(beats_s: Beats, found_s: Beats, start_s: float = 1.0, end_s: float = np.inf) -> Score:
    """Match detections to the beats between ``start_s`` and ``end_s``."""
    start_s = max(start_s, float(beats_s[0]) - TOLERANCE_S)
    end_s = min(end_s, float(beats_s[-1]) + TOLERANCE_S)
    beats = beats_s[(beats_s >= start_s) & (beats_s <= end_s)]
    # A beat at the very edge may be found just outside.
    near = found_s[(found_s >= start_s - TOLERANCE_S) & (found_s <= end_s + TOLERANCE_S)]
    if len(near) == 0:
        return Score(len(beats), 0, 0, float("nan"))
    to_found, to_beat = _nearest(beats, near), _nearest(near, beats)
    error = near[to_found] - beats
    hit = (np.abs(error) <= TOLERANCE_S) & (to_beat[to_found] == np.arange(len(beats)))
    wrong = np.ones(len(near), dtype=np.bool_)
    wrong[to_found[hit]] = False
    false = int((wrong & (near >= start_s) & (near <= end_s)).sum())
    found = int(hit.sum())
    return Score(
        len(beats), found + false, found, 1e3 * float(np.median(error[hit])) if found else float("nan")
    )


def _nearest(wanted: Beats, among: Beats) -> NDArray[np.int64]:
    right = np.clip(np.searchsorted(among, wanted), 1, max(len(among) - 1, 1))
    right = np.minimum(right, len(among) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(wanted - among[left] <= among[right] - wanted, left, right)


def total(scores: list[Score]) -> Score:
    """All records as one."""
    return Score(
        sum(one.beats for one in scores),
        sum(one.detections for one in scores),
        sum(one.found for one in scores),
        float(np.median([one.median_error_ms for one in scores])),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--against", choices=[*OTHERS, "none"], default="neurokit")
    parser.add_argument("--lead", type=int, choices=[0, 1], default=0)
    parser.add_argument("--records", nargs="*", default=None)
    args = parser.parse_args()
    other = OTHERS.get(args.against)

    print(f"{'':>16}{'':>6}  {'edge-ecg, whole record':^29}  {'10-s windows':^22}  {args.against:^22}")
    print(
        f"{'record':>16}{'beats':>6}  {'Se':>7}{'PPV':>7}{'F1':>7}{'ms':>8}"
        + 2 * f"  {'Se':>8}{'PPV':>7}{'F1':>7}"
    )
    rows: list[tuple[str, Score, Score, Score | None]] = []
    seconds = 0.0
    for record in records(args.data, args.lead):
        if args.records and record.name not in args.records:
            continue
        began = time.perf_counter()
        ours = score(record.beats_s, whole(record))
        seconds += time.perf_counter() - began
        found, start_s, end_s = in_windows(record)
        windowed = score(record.beats_s, found, start_s, end_s)
        theirs = score(record.beats_s, other(record)) if other else None
        rows.append((record.source, ours, windowed, theirs))
        print(_line(f"{record.source} {record.name}", ours, windowed, theirs), flush=True)
    for source in dict.fromkeys(row[0] for row in rows):
        mine = [row for row in rows if row[0] == source]
        theirs_all = [row[3] for row in mine if row[3] is not None]
        sums = total([row[1] for row in mine]), total([row[2] for row in mine])
        print(_line(f"{source}, all", *sums, total(theirs_all) if theirs_all else None))
        for label, index in (("whole", 1), ("windows", 2), (args.against, 3)):
            f1 = np.array([row[index].f1 for row in mine if row[index] is not None])  # type: ignore[union-attr]
            if len(f1):
                print(
                    f"  {source} {label}: F1 median {np.median(f1):.4f}, lowest {f1.min():.4f},"
                    f" {int((f1 >= 0.99).sum())} of {len(f1)} records at 0.99 or more"
                )
    print(f"resampling, filtering and detecting took {seconds:.1f} s")


def _line(name: str, ours: Score, windowed: Score, theirs: Score | None) -> str:
    line = f"{name:>16}{ours.beats:>6}  {_three(ours)}{ours.median_error_ms:>8.1f}   {_three(windowed)}"
    return line + (f"   {_three(theirs)}" if theirs else "")


def _three(one: Score) -> str:
    return f"{one.sensitivity:>7.4f}{one.positive_predictivity:>7.4f}{one.f1:>7.4f}"


if __name__ == "__main__":
    main()
