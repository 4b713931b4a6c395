"""When a release on trial has proved itself.

It is confirmed when this one process has been up for the whole time of the watch, counted from READY, and

- nothing inside has failed (what fails inside ends the process, or goes back at once);
- it is a life that the watchdog is fed for at this moment (:mod:`edge_ecg.service.pulse`);
- where samples came, at least one window was judged, decided or withheld. Below ``NEEDED_S`` of signal there
  need be none yet; ``SWALLOWED_S`` of signal without any is a pipeline that swallows it, and a failure.

No samples at all do not speak against a release: whether somebody wears the sensor is not its doing.
"""

from __future__ import annotations

from .pulse import Reading

NEEDED_S = 15.0
"""Signal after which a record must have come: a window of 10 s and the chain's delay, with room."""

SWALLOWED_S = 60.0


class Watch:
    """The watch over one release on trial.

    Parameters
    ----------
    ready_s:
        Monotonic seconds of READY.
    watch_s:
        For how long it is watched.

    """

    def __init__(self, ready_s: float, watch_s: float) -> None:
        self._ready_s = ready_s
        self._watch_s = watch_s

    def left_s(self, now_s: float) -> float:
        """Return how many seconds of the watch are left, at least 0."""
        return max(self._ready_s + self._watch_s - now_s, 0.0)

    def proved(self, now_s: float, reading: Reading) -> bool:
        """Whether the release is to be confirmed now."""
        if self.left_s(now_s) > 0 or reading.stuck(now_s):
            return False
        return reading.records > 0 or reading.signal_s < NEEDED_S

    def swallowed(self, reading: Reading) -> bool:
        """Whether signal goes in and nothing comes out."""
        return reading.records == 0 and reading.signal_s >= SWALLOWED_S
