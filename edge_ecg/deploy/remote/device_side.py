"""Calling ``edge-ecg`` on the device: its records, and its failures as errors of here."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ...errors import BundleError, EdgeEcgError, GateError, RemoteError
from .ssh import Completed, Remote

Record = dict[str, Any]
# What is wrong with the bundle or the model is so on any machine; all else is the device's own trouble.
_ERRORS: dict[int, type[EdgeEcgError]] = {4: BundleError, 6: GateError}
_NOTHING, _BROKEN = 78, 79


class DeviceSide:
    """The ``edge-ecg`` of one runtime on a device.

    Parameters
    ----------
    remote:
        The connection.
    root:
        The folder of edge-ecg there.
    runtime:
        Which runtime's program to call; left out: the current release's.

    """

    def __init__(self, remote: Remote, root: str, runtime: str | None = None) -> None:
        self._remote = remote
        self.root = root
        folder = f"{root}/runtimes/{runtime}" if runtime else f"{root}/current/runtime"
        self.program = f"{folder}/bin/edge-ecg"

    def command(self, words: Sequence[str]) -> list[str]:
        """Return the words of a command line there."""
        return ["env", f"EDGE_ECG_HOME={self.root}", self.program, *words, "--json"]

    def call(self, *words: str, timeout_s: float | None = None) -> Record:
        """Run a verb and return its last record.

        Raises
        ------
        BundleError, GateError
            When the verb refused the bundle or the model.
        RemoteError
            When anything else went wrong there, or the connection was lost.

        """
        done = self._remote.run(self.command(words), timeout_s=timeout_s)
        self._check(done)
        records = list(_records(done.text.splitlines()))
        if not records:
            raise RemoteError(f"`edge-ecg {' '.join(words)}` on {self._remote.host} answered nothing.")
        return records[-1]

    def follow(self, *words: str) -> Iterator[Record]:
        """Run a verb and yield its records as they come; raises as :meth:`call` does."""
        with self._remote.stream(self.command(words)) as lines:
            yield from _records(lines)
            done = lines.completed
        self._check(done)

    def _check(self, done: Completed) -> None:
        if done.returncode:
            raise device_error(self._remote.host, done)


def call_current(remote: Remote, *words: str, timeout_s: float | None = None) -> Record:
    """Run a verb of the current release's ``edge-ecg``, in one round trip; returns its last record.

    Where that one cannot run at all (a runtime that is broken), the release before answers.

    Raises
    ------
    BundleError, GateError
        When the verb refused a bundle or a model.
    RemoteError
        When nothing has been flashed there, no runtime there can answer, or anything else went wrong.

    """
    script = f"""
EDGE_ECG_HOME=${{EDGE_ECG_HOME:-$HOME/.local/share/edge-ecg}}; export EDGE_ECG_HOME
code={_NOTHING}
for release in current previous; do
    program=$EDGE_ECG_HOME/$release/runtime/bin/edge-ecg
    [ -x "$program" ] || continue
    "$program" {shlex.join(words)} --json; code=$?
    case $code in 0|[2-7]|130) break ;; esac
done
[ $code = {_NOTHING} ] && [ -L "$EDGE_ECG_HOME/current" ] && exit {_BROKEN}
exit $code
"""
    done = remote.run(script, timeout_s=timeout_s)
    if done.returncode == _BROKEN:
        raise RemoteError(
            f"The runtime on {remote.host} is broken: nobody there can answer.",
            why="Neither the current release nor the one before finds its program any more.",
            remedy=f"Flash it again, which makes a runtime anew: edge-ecg flash {remote.host} BUNDLE",
        )
    if done.returncode == _NOTHING:
        raise RemoteError(
            f"Nothing has been flashed to {remote.host} yet.",
            why="There is no current release in the folder of edge-ecg (~/.local/share/edge-ecg).",
            remedy=f"edge-ecg flash {remote.host} BUNDLE",
        )
    if done.returncode:
        raise device_error(remote.host, done)
    records = list(_records(done.text.splitlines()))
    if not records:
        raise RemoteError(f"`edge-ecg {' '.join(words)}` on {remote.host} answered nothing.")
    return records[-1]


def device_error(host: str, done: Completed) -> EdgeEcgError:
    """Return what a failed ``edge-ecg`` on a device said, as an error that names the device."""
    what, why, remedy = "", "", ""
    for line in done.stderr.decode(errors="replace").splitlines():
        if line.startswith("edge-ecg: "):
            what, why, remedy = line.removeprefix("edge-ecg: "), "", ""
        elif line.startswith("  why: "):
            why = line.removeprefix("  why: ")
        elif line.startswith("  try: "):
            remedy = line.removeprefix("  try: ").replace("HOST", host)
    kind = _ERRORS.get(done.returncode, RemoteError)
    if not what:
        return RemoteError(
            f"edge-ecg on {host} ended without a word that it should have (exit code {done.returncode}).",
            why=done.words,
            remedy="Run the same command again; a broken runtime is made anew once its file .complete is "
            "removed there.",
        )
    return kind(f"{host}: {what}", why=why, remedy=remedy)


def _records(lines: Iterable[str]) -> Iterator[Record]:
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value
