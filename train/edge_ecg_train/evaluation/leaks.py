"""Checks that an evaluation does not flatter itself, made on every card.

What can be seen from the outside is checked here: who and what stands on both sides of a fold, which data an
encoder was pretrained on, how windows were normalised, when a baseline was taken. What a system does inside
is tried out by :mod:`~edge_ecg_train.evaluation.probes`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..splits import Fold
from ..store import STORE
from .baseline import WINDOW_S, PersonalBaseline
from .data import TaskData

if TYPE_CHECKING:
    from ..systems.base import System

_CAUSAL = "calibrated"
_NAMED = 3


@dataclass(frozen=True, slots=True)
class LeakFinding:
    """The outcome of one check.

    Attributes
    ----------
    check:
        What should be so: "nobody is trained on and tested on".
    passed:
        Whether it is.
    detail:
        What was looked at, or what was found.

    """

    check: str
    passed: bool
    detail: str


NOBODY_TWICE = "nobody is trained on and tested on"
NO_WINDOW_TWICE = "no window is trained on and tested on"
NO_OVERLAP = "no tested window overlaps in time with a training window of the same person"
TESTED_ONCE = "every window is tested once at most"
CAUSAL_SCALE = "windows are normalised by what came before"
BASELINE_FIRST = "a personal baseline lies before what is compared with it"
ENCODER_BLIND = "the encoder was not trained on the tested people"


def check_folds(data: TaskData, folds: Iterable[Fold]) -> list[LeakFinding]:
    """Check that the two sides of each fold share no person, no window and no second of a recording."""
    digests = _digests(data.windows)
    shared: dict[str, list[str]] = {NOBODY_TWICE: [], NO_WINDOW_TWICE: [], NO_OVERLAP: []}
    tested = np.zeros(len(data), np.int64)
    count = 0
    for fold in folds:
        count += 1
        tested[fold.test] += 1
        people = np.intersect1d(data.subject[fold.train], data.subject[fold.test])
        if len(people):
            shared[NOBODY_TWICE].append(f"{fold.name}: {_some(people.tolist())}")
        same = len(np.intersect1d(digests[fold.train], digests[fold.test]))
        if same:
            shared[NO_WINDOW_TWICE].append(f"{fold.name}: {same} windows")
        overlapping = _overlapping(data, fold)
        if overlapping:
            shared[NO_OVERLAP].append(f"{fold.name}: {overlapping} windows")
    seen = f"{count} folds, {len(data)} windows, {len(np.unique(data.subject))} people"
    findings = [LeakFinding(check, not found, _some(found) or seen) for check, found in shared.items()]
    twice = int((tested > 1).sum())
    findings.append(LeakFinding(TESTED_ONCE, twice == 0, f"{twice} windows" if twice else seen))
    return findings


def _digests(windows: NDArray[np.float32]) -> NDArray[np.str_]:
    return np.array([hashlib.sha256(np.ascontiguousarray(one).tobytes()).hexdigest() for one in windows])


def _overlapping(data: TaskData, fold: Fold) -> int:
    """Count test windows that share time with a training window of the same recording."""
    count = 0
    for person in np.unique(data.subject[fold.test]):
        ours = fold.test[data.subject[fold.test] == person]
        theirs = fold.train[data.subject[fold.train] == person]
        for session in np.unique(data.session[theirs]):
            tested = data.start_s[ours[data.session[ours] == session]]
            trained = data.start_s[theirs[data.session[theirs] == session]]
            near = np.abs(tested[:, None] - trained[None, :]) < WINDOW_S
            count += int(near.any(axis=1).sum())
    return count


def _some(found: Sequence[str]) -> str:
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more


def check_normalisation(data: TaskData) -> LeakFinding:
    """Check that no window was normalised by samples that came after it, as the store tells."""
    info = json.loads((data.store_path / STORE).read_text(encoding="utf-8"))
    kind = str(info["preprocessing"].get("normalisation"))
    return LeakFinding(CAUSAL_SCALE, kind == _CAUSAL, f"normalisation of the store: {kind}")


def check_baseline(data: TaskData, baseline: PersonalBaseline) -> LeakFinding:
    """Check that baseline windows are not scored, end in time, and lie before what is scored."""
    rows = np.flatnonzero(baseline.baseline)
    wrong: list[str] = []
    if (baseline.baseline & baseline.scored).any():
        wrong.append(f"{int((baseline.baseline & baseline.scored).sum())} baseline windows are scored")
    late = int((data.start_s[rows] + WINDOW_S > baseline.seconds + 1e-6).sum())
    if late:
        wrong.append(f"{late} baseline windows end after {baseline.seconds:g} s")
    recording = np.char.add(np.char.add(data.subject, "\x00"), data.session)
    for one in np.unique(recording[rows]):
        here = recording == one
        last_s = data.start_s[here & baseline.baseline].max()
        earlier = here & baseline.scored & (data.start_s < last_s)
        if earlier.any():
            wrong.append(f"{data.subject[here][0]}: {int(earlier.sum())} windows before it")
    said = f"{len(baseline.people)} people, {len(rows)} windows in the first {baseline.seconds:g} s"
    return LeakFinding(BASELINE_FIRST, not wrong, _some(wrong) or said)


def check_encoder(data: TaskData, name: str, facts: Mapping[str, Any]) -> LeakFinding:
    """Check that an encoder was not pretrained on those whom the systems are tested on.

    Parameters
    ----------
    data:
        What is tested.
    name:
        Whose encoder it is.
    facts:
        ``datasets`` (names of those that it was trained on; None when that is not known) and ``subjects``
        (the people, or None), as
        :class:`~edge_ecg_train.evaluation.stage_encoders.StagedEncoder` has them.

    """
    datasets, subjects = facts.get("datasets"), facts.get("subjects")
    if subjects is not None:
        seen = np.intersect1d(np.unique(data.subject), np.array(list(subjects), dtype=np.str_)).tolist()
        what = f"{len(set(subjects))} people"
    elif datasets is not None:
        seen = sorted(set(datasets) & set(data.dataset.tolist()))
        what = ", ".join(datasets) or "nothing"
    else:
        return LeakFinding(ENCODER_BLIND, False, f"{name}: what it was trained on is not recorded")
    said = f"it was trained on {_some(seen)}" if seen else f"it was trained on {what}"
    return LeakFinding(ENCODER_BLIND, not seen, f"{name}: {said}")


def find_leaks(
    data: TaskData,
    protocols: Mapping[str, Sequence[Fold]],
    systems: Sequence[System],
    *,
    encoders: Mapping[str, Mapping[str, Any]] | None = None,
    baselines_s: Sequence[float] = (0.0,),
    seed: int = 0,
    on_probe: Callable[[str], None] | None = None,
) -> list[LeakFinding]:
    """Make all checks.

    Parameters
    ----------
    data:
        The windows that systems were compared on.
    protocols:
        The folds of each protocol that claims to be honest.
    systems:
        Each is fitted a few times on few windows; see :func:`.probes.probe`.
    encoders:
        Name of a system to the facts about its encoder.
    baselines_s:
        Lengths of the personal baseline that were compared; 0 is none. Probed are none and the longest.
    seed:
        Of the systems.
    on_probe:
        Is called with the name of each system before it is probed.

    """
    from .probes import probe

    findings = [check_normalisation(data)]
    for protocol, folds in protocols.items():
        findings += [
            LeakFinding(one.check, one.passed, f"{protocol}: {one.detail}")
            for one in check_folds(data, folds)
        ]
    lengths = sorted({float(one) for one in baselines_s})
    findings += [check_baseline(data, PersonalBaseline.of(data, one)) for one in lengths if one]
    findings += [check_encoder(data, name, facts) for name, facts in (encoders or {}).items()]
    for system in systems:
        if on_probe is not None:
            on_probe(system.name)
        for length in sorted({lengths[0], lengths[-1]}):
            findings += probe(system, data, baseline_s=length, seed=seed)
    return findings
