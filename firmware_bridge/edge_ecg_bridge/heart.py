"""Hearts and their stories: what a synthetic heart does over time, by name or written out by a user."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

RESTING_AXIS_DEG = 60.0
_TURN_S = 10.0


@dataclass(frozen=True, slots=True)
class HeartState:
    """What the heart does at one time.

    Attributes
    ----------
    at_s:
        When; between two states all values change linearly.
    heart_rate_bpm:
        Mean heart rate.
    rsa_ms, mayer_ms, jitter_ms:
        Standard deviations of the RR interval's respiratory (HF), 0.1 Hz (LF) and random parts. LF/HF is
        ``(mayer_ms / rsa_ms) ** 2``.
    respiration_hz:
        Breathing rate.
    axis_deg:
        Direction of the heart's electrical axis, which posture turns; lead II looks along 60°.

    """

    at_s: float = 0.0
    heart_rate_bpm: float = 72.0
    rsa_ms: float = 35.0
    mayer_ms: float = 20.0
    jitter_ms: float = 8.0
    respiration_hz: float = 0.25
    axis_deg: float = RESTING_AXIS_DEG

    def with_variability(self, sdnn_ms: float, lf_hf: float) -> HeartState:
        """Return the same heart with another variability: its size, and the ratio of LF to HF power."""
        rsa_ms = sdnn_ms / np.sqrt(1.0 + lf_hf)
        return replace(self, rsa_ms=rsa_ms, mayer_ms=rsa_ms * np.sqrt(lf_hf), jitter_ms=0.0)


CALM = HeartState()
STRESSED = HeartState(heart_rate_bpm=96.0, rsa_ms=10.0, mayer_ms=10.0, jitter_ms=4.0, respiration_hz=0.32)
STANDING = HeartState(heart_rate_bpm=84.0, rsa_ms=20.0, mayer_ms=30.0, axis_deg=85.0)
STATES = {"rest": CALM, "stress": STRESSED, "stand": STANDING}
STORIES: dict[str, tuple[HeartState, ...]] = {
    "rest": (CALM,),
    "stress": (STRESSED,),
    "rest-stress": (CALM, replace(CALM, at_s=40.0), replace(STRESSED, at_s=50.0)),
    "posture": (CALM, replace(CALM, at_s=30.0), replace(STANDING, at_s=34.0)),
}


def parse_story(text: str) -> tuple[HeartState, ...]:
    """Return a story by name, or read one: ``STATE:SECONDS,STATE:SECONDS,…``, the last one without end.

    States are ``rest``, ``stress`` and ``stand``; one turns into the next within ten seconds.

    Raises
    ------
    ValueError
        What is wrong with it, as a sentence.

    """
    if text.lower() in STORIES:
        return STORIES[text.lower()]
    story: list[HeartState] = []
    at_s = 0.0
    parts = text.lower().split(",")
    for part in parts:
        name, _, length = part.strip().partition(":")
        if name not in STATES:
            raise ValueError(
                f"There is no story {text!r}: give {', '.join(STORIES)}, or states such as rest:60,stress:90 "
                f"out of {', '.join(STATES)}."
            )
        state = STATES[name]
        story.append(replace(state, at_s=at_s + (_TURN_S if story else 0.0)))
        if not length and part is parts[-1]:
            break
        try:
            seconds = float(length)
        except ValueError:
            seconds = np.nan
        if not _TURN_S <= seconds < np.inf:
            raise ValueError(f"{part.strip()!r} needs its length in seconds, {_TURN_S:g} or more.")
        at_s += seconds
        story.append(replace(state, at_s=max(at_s, story[-1].at_s)))
    return tuple(story)


def state_at(story: tuple[HeartState, ...], at_s: float) -> HeartState:
    """Return the heart's state at a time of its story."""
    if len(story) == 1:
        return replace(story[0], at_s=at_s)
    times = [state.at_s for state in story]
    names = [field.name for field in fields(HeartState) if field.name != "at_s"]
    values = {name: float(np.interp(at_s, times, [getattr(s, name) for s in story])) for name in names}
    return HeartState(at_s, **values)
