"""The main thread between READY and the end: twice a second it looks at everything, and says how it is."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..deploy.health import Health, write_health
from ..deploy.layout import Home
from ..errors import EXIT_BUG, EXIT_DONE, EdgeEcgError, UsageError
from .log import Log
from .notify import Notifier
from .pulse import Pulse, Reading, Stage
from .reader import REOPEN_S, Reader, World
from .render import value_of
from .report import health_of, status_sentence
from .schema import ServiceConfig, keys
from .standing import Standing
from .starting import Engine
from .trial import Watch

TICK_S = 0.5
REPORT_S = 2.0
"""Between two ``health.json``: on a Pi it lies on an SD card, whose cache it does not leave (no fsync)."""

STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What is run: a configuration, and the model that it names, tested."""

    config: ServiceConfig
    engine: Engine


class Loop:
    """Runs the service.

    Parameters
    ----------
    home:
        Where ``health.json`` goes.
    setting:
        What to run.
    read:
        Reads and loads it again, for SIGHUP; raises EdgeEcgError when that cannot be used.
    notifier, log, world:
        Who is told, and what the machine is.
    standing:
        Whether this release counts, and what becomes of it.
    wait:
        Waits for so many seconds; returns a signal's number when one came.

    """

    def __init__(
        self,
        home: Home,
        setting: Setting,
        read: Callable[[], Setting],
        notifier: Notifier,
        log: Log,
        world: World,
        standing: Standing,
        wait: Callable[[float], int | None],
    ) -> None:
        self._home = home
        self._setting = setting
        self._read = read
        self._notifier = notifier
        self._log = log
        self._world = world
        self._standing = standing
        self._wait = wait
        self._pulse = Pulse(world.clock())
        self._reader = self._new_reader()
        self._watch: Watch | None = None
        self._about = Health(standing.release, os.getpid(), round(world.wall_clock().timestamp(), 3))
        self._reported_s: float | None = None
        self._told_stuck = False
        self._told_unwritable = False

    def run(self) -> int:
        """Run until something ends it; return the exit code."""
        try:
            self._begin()
            while True:
                number = self._wait(TICK_S)
                if number == signal.SIGHUP:
                    self._reload()
                elif number is not None:
                    self._log.notice(f"Told to end ({signal.Signals(number).name}).")
                    return EXIT_DONE
                code = self._tick(self._world.clock())
                if code is not None:
                    return code
        finally:
            self._end()

    # -- its parts -------------------------------------------------------------------------------------

    def _begin(self) -> None:
        now_s, watch_s = self._world.clock(), self._standing.watch_s()
        self._reader.start()
        self._about = replace(self._about, ready=True)
        name = self._standing.release or self._setting.engine.model.name_at_sha
        if watch_s is not None:
            self._watch = Watch(now_s, watch_s)
            self._log.notice(f"{name} is on trial for {watch_s:.0f} s.")
        self._log.notice(
            f"Ready: {name} in {self._setting.engine.model.engine}; looking for {self._reader.place}."
        )
        self._report(now_s, self._pulse.reading, "")
        self._notifier.ready()

    def _tick(self, now_s: float) -> int | None:
        """Look at everything; return an exit code when this is the end."""
        failure = self._reader.failure
        if failure is not None:
            return self._failed(failure)
        if not self._standing.is_current():
            self._log.notice("Another release is current now; ending, so that it is started.")
            return EXIT_DONE
        self._reader.feel(now_s)
        reading = self._pulse.reading
        stuck = reading.stuck(now_s)
        if not stuck:
            self._notifier.alive()
        elif not self._told_stuck:
            self._log.error(f"The watchdog is not fed: {stuck}.")
        self._told_stuck = bool(stuck)
        if self._watch is not None and self._judge(now_s, reading):
            return EXIT_BUG
        if self._reported_s is None or now_s - self._reported_s >= REPORT_S:
            self._report(now_s, reading, stuck or self._reader.hindrance)
        self._look_elsewhere(now_s, reading)
        return None

    def _judge(self, now_s: float, reading: Reading) -> bool:
        """Confirm a release on trial when it is time; True when it was taken back."""
        assert self._watch is not None
        if self._watch.swallowed(reading):
            reason = f"{reading.signal_s:.0f} s of signal went in, and not one window was judged."
            return self._standing.take_back(reason)
        if self._watch.proved(now_s, reading) and self._standing.confirm():
            self._watch = None
        return False

    def _failed(self, failure: BaseException) -> int:
        if isinstance(failure, EdgeEcgError):
            self._log.failure(failure)
            code, reason = failure.exit_code, str(failure)
        else:
            self._log.error(self._reader.failure_text)
            code, reason = EXIT_BUG, f"{type(failure).__name__}: {failure}"
        self._notifier.status(reason)
        self._report(self._world.clock(), self._pulse.reading, reason)
        # A configuration that the device refuses (a hop that its rate does not allow) is no fault of a model.
        if not isinstance(failure, UsageError):
            self._standing.take_back(reason)
        return code

    def _look_elsewhere(self, now_s: float, reading: Reading) -> None:
        """Let go of a device that was lost for long: what comes may be another, at another port."""
        lost_s = reading.lost_s
        if reading.stage is Stage.LOOKING and lost_s is not None and now_s - lost_s > REOPEN_S:
            self._reader.reopen()

    def _report(self, now_s: float, reading: Reading, error: str) -> None:
        self._reported_s = now_s
        left_s = None if self._watch is None else self._watch.left_s(now_s)
        place = self._reader.place
        self._notifier.status(error or status_sentence(reading, place, self._world.wall_clock(), left_s))
        try:
            write_health(self._home, health_of(reading, self._about, place, error))
        except OSError as problem:
            if not self._told_unwritable:  # a full disk does not stop the decisions
                self._log.warning(f"{self._home.health} cannot be written: {problem.strerror or problem}.")
            self._told_unwritable = True
        else:
            self._told_unwritable = False

    def _reload(self) -> None:
        self._notifier.reloading(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)
        try:
            setting = self._read()
        except EdgeEcgError as error:
            self._log.failure(error)
            self._log.warning("What was configured before goes on.")
        else:
            changed = _changed(self._setting.config, setting.config)
            self._log.notice(f"Configuration read again; changed: {', '.join(changed) or 'nothing'}.")
            in_unit = {key.path for key in keys() if key.in_unit}.intersection(changed)
            if in_unit:
                self._log.warning(f"The unit depends on {', '.join(sorted(in_unit))}: install it again.")
            self._setting, self._log.level = setting, setting.config.service.log_level
            self._reader.stop(STOP_S)
            self._pulse.looking(self._world.clock(), "the configuration was read again")
            self._reader = self._new_reader()
            self._reader.start()
        self._notifier.ready()

    def _end(self) -> None:
        self._notifier.stopping()
        if not self._reader.stop(STOP_S):
            self._log.warning(f"The device did not answer within {STOP_S:.0f} s; it may still stream.")
        self._about = replace(self._about, ready=False)
        failure = self._reader.failure
        self._report(self._world.clock(), self._pulse.reading, "" if failure is None else str(failure))

    def _new_reader(self) -> Reader:
        config, engine = self._setting.config, self._setting.engine
        return Reader(config, engine.model, engine.profile, self._pulse, self._log, self._world)


def _changed(before: ServiceConfig, after: ServiceConfig) -> list[str]:
    return [key.path for key in keys() if value_of(before, key) != value_of(after, key)]
