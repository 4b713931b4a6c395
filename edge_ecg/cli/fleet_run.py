"""Doing something on every device of a fleet: the table on stderr, records on stdout, the exit code."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from ..deploy.remote.fleet import FleetHost
from ..deploy.remote.options import SshOptions
from ..deploy.remote.rollout import Rollout, Row, State
from ..deploy.remote.ssh import Remote
from ..deploy.remote.table import FleetTable, counts
from ..errors import EdgeEcgError
from . import printable
from .remote_talk import print_record

_LOOK_S = 0.2

#: Works on one device over an open connection; returns False when there was nothing to do.
OnHost = Callable[[Remote, Row], bool]


class FleetRun:
    """A rollout over SSH.

    Parameters
    ----------
    hosts:
        The devices.
    options:
        How to call ``ssh``.
    ends:
        How many are done after each stage.
    on_host:
        Works on one.
    jobs, max_failures:
        How many at once; how many may fail before nobody else is begun.
    json_lines:
        Records on stdout instead of the table on stderr.

    """

    def __init__(
        self,
        hosts: Sequence[FleetHost],
        options: SshOptions,
        ends: Sequence[int],
        on_host: OnHost,
        *,
        jobs: int,
        max_failures: int,
        json_lines: bool,
    ) -> None:
        self._hosts = hosts
        self._options = options
        self._on_host = on_host
        self._json = json_lines
        self._open: set[Remote] = set()
        self._guard = threading.Lock()
        self.rollout = Rollout(
            [host.name for host in hosts], ends, self._work, jobs=jobs, max_failures=max_failures
        )

    def run(self, *, show_table: bool = True) -> None:
        """Do it, and end with a record a host or with the table; a Ctrl-C ends all that was begun."""
        show = show_table and not self._json
        with FleetTable(self.rollout.rows, sys.stderr) if show else nullcontext():
            self._run()

    def _run(self) -> None:
        # On a thread of its own: the main one must stay free for Ctrl-C.
        failure: list[BaseException] = []
        ended = (
            threading.Event()
        )  # an interrupted Thread.join takes the thread for ended (before Python 3.13)

        def work() -> None:
            try:
                self.rollout.run()
            except BaseException as error:
                failure.append(error)
            finally:
                ended.set()

        threading.Thread(target=work, name="rollout", daemon=True).start()
        try:
            while not ended.wait(_LOOK_S):
                pass
        except KeyboardInterrupt:
            self.rollout.stop()
            self._cut()
            ended.wait()
            raise
        if failure:
            raise failure[0]

    def over(self, row: Row, work: Callable[[Remote], None]) -> None:
        """Connect to a row's host once more and do something there."""
        host = self._hosts[self.rollout.rows.index(row)]
        with Remote(host.address, host.options(self._options)) as remote:
            work(remote)

    def report(self, *, count: bool = True) -> None:
        """Print a record a host (``--json``), or what each that failed said and how they all ended."""
        for row, host in zip(self.rollout.rows, self._hosts, strict=True):
            if self._json:
                print_record(_record(row, host))
                continue
            for warning in row.warnings:
                print(f"{row.name}: warning: {printable(warning)}", file=sys.stderr)
            if row.error is not None:
                _print_failure(row.name, row.error)
        if self._json:
            states = [row.state for row in self.rollout.rows]
            print_record(
                {
                    "type": "rollout",
                    "hosts": len(states),
                    **{str(state): states.count(state) for state in State if state in states},
                    "halted": self.rollout.halted,
                }
            )
        elif count:
            print(counts(self.rollout.rows))

    def _work(self, index: int, row: Row) -> bool:
        host = self._hosts[index]
        row.text = f"connecting to {host.address}"
        remote = Remote(host.address, host.options(self._options))
        with remote:
            with self._guard:
                self._open.add(remote)
            try:
                return self._on_host(remote, row)
            finally:
                with self._guard:
                    self._open.discard(remote)

    def _cut(self) -> None:
        with self._guard:
            for remote in self._open:
                remote.cut()


def _record(row: Row, host: FleetHost) -> dict[str, Any]:
    record: dict[str, Any] = {
        "type": "host",
        "host": row.name,
        "address": host.address,
        "stage": row.stage,
        "state": str(row.state),
        "warnings": row.warnings,
        **row.result,
    }
    if row.error is not None:
        error = row.error
        record["error"] = {
            "what": error.what,
            "why": error.why,
            "remedy": error.remedy,
            "exit_code": error.exit_code,
        }
    return record


def _print_failure(name: str, error: EdgeEcgError) -> None:
    # What a device said bears its address already.
    what = error.what.removeprefix(f"{name}: ")
    print(f"{name}: {printable(what)}", file=sys.stderr)
    if error.why:
        print(f"  why: {printable(error.why)}", file=sys.stderr)
    if error.remedy:
        print(f"  try: {printable(error.remedy)}", file=sys.stderr)
