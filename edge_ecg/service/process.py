"""The process of the service: from its start to its end, and why it ends.

It ends well (code 0) when it is told to, and when ``current`` leads to another release: systemd then starts
that one. It ends badly when something inside fails; a release on trial is taken back before that. A device
that is not there ends nothing.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from typing import TextIO

from ..deploy.layout import ENV_RELEASE, Home
from ..deploy.lock import HomeLock
from ..deploy.releases import Releases
from ..errors import EXIT_BUG, BundleError, EdgeEcgError, GateError
from ..pipeline import utc_now
from .config import load_config
from .log import Log, in_journal
from .loop import Loop, Setting
from .notify import Notifier
from .reader import World
from .schema import ServiceConfig
from .standing import Standing
from .starting import Engine, bundle_of, load_engine

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# The watchdog must be fed meanwhile: whoever holds the lock for longer is waited for in the next round.
_LOCK_S = 2.0


def wait_for_signal(seconds: float) -> int | None:
    """Wait for a signal of those that are blocked; None when none came in time. No handler, no thread."""
    found = signal.sigtimedwait(_SIGNALS, max(seconds, 0.0))
    return None if found is None else found.si_signo


def run_service(
    home: Home,
    environment: MutableMapping[str, str] = os.environ,
    *,
    json_records: bool = False,
    stdout: TextIO = sys.stdout,
    stderr: TextIO = sys.stderr,
    wait: Callable[[float], int | None] = wait_for_signal,
) -> int:
    """Run the service until it is told to end, and return the exit code.

    Its configuration is ``home.config``; where there is none, what each key says by default.
    ``json_records`` sends every record to ``stdout``, whatever the configuration says.
    """
    os.umask(0o077)  # all that it writes says something about a person
    faulthandler.enable(stderr)  # a watchdog's SIGABRT then tells where each thread hung
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    notifier = Notifier.from_environment(environment)
    log = Log(stderr, prefixed=in_journal(environment))
    releases = Releases(home, lock=HomeLock(home, wait_s=_LOCK_S))
    standing = Standing(releases, environment.get(ENV_RELEASE) or _current_name(releases), log)
    config: ServiceConfig | None = None
    try:
        config = read_config(home, json_records)
        log.level = config.service.log_level
        engine = _load(home, standing.release, config, notifier, log)
    except Exception as error:  # whatever it is: a release on trial that cannot start is no release
        return _failed_to_start(error, config, standing, notifier, log)

    def read_again() -> Setting:
        config = read_config(home, json_records)
        return Setting(config, _load(home, standing.release, config, notifier, log))

    world = World(clock=time.monotonic, wall_clock=utc_now, stdout=stdout)
    loop = Loop(home, Setting(config, engine), read_again, notifier, log, world, standing, wait)
    try:
        return loop.run()
    finally:
        notifier.close()


def read_config(home: Home, json_records: bool = False) -> ServiceConfig:
    """Return the configuration of a home, the defaults where there is none; raises as ``load_config``."""
    config = load_config(home.config) if home.config.exists() else ServiceConfig()
    if not json_records:
        return config
    return replace(config, output=replace(config.output, journal="records"))


def _load(home: Home, release: str, config: ServiceConfig, notifier: Notifier, log: Log) -> Engine:
    """Load and test the model; with every step the time begins anew that systemd gives it."""

    def step(sentence: str) -> None:
        log.info(sentence)
        notifier.status(sentence)
        notifier.extend(config.service.start_timeout_s)
        notifier.alive()

    return load_engine(bundle_of(home, release, config.model), config.model, step)


def _current_name(releases: Releases) -> str:
    current = releases.current()
    return "" if current is None else current.name


def _failed_to_start(
    error: Exception,
    config: ServiceConfig | None,
    standing: Standing,
    notifier: Notifier,
    log: Log,
) -> int:
    if isinstance(error, EdgeEcgError):
        log.failure(error)
        code, reason = error.exit_code, str(error)
    else:
        log.error(traceback.format_exc())
        code, reason = EXIT_BUG, f"{type(error).__name__}: {error}"
    notifier.status(reason)
    # A configuration that it cannot read, an engine that is not installed: after three starts the script of
    # the service goes back by itself, and a person who mends it meanwhile loses nothing.
    own = config is not None and config.model.bundle is None
    if own and (isinstance(error, BundleError | GateError) or not isinstance(error, EdgeEcgError)):
        standing.take_back(reason)
    return code
