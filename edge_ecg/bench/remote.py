"""A bench on a device: by the runtime that is installed there, over the user's own ``ssh``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from ..deploy.remote.ssh import Remote
from ..errors import DataError, EdgeEcgError, RemoteError
from .report import TYPE, Report, parse_report

CURRENT = "current"
"""In place of a bundle's path: the one that the device runs."""

_HOME = "${EDGE_ECG_HOME:-$HOME/.local/share/edge-ecg}"
_CURRENT_BUNDLE = f"{_HOME}/current/model.ecgb"
# A login without a terminal has a short PATH; the second last is where `edge-ecg doctor` says to install.
_FIND = f"""
for each in "{_HOME}/current/runtime/bin/edge-ecg" "$(command -v edge-ecg)" \
"$HOME/.local/bin/edge-ecg" "$HOME/edge-ecg/bin/edge-ecg"; do
    [ -x "$each" ] && printf '%s\\n' "$each" && exit 0
done
exit 1
"""


class FarBenchError(EdgeEcgError):
    """The bench on the device ended with a foreseen failure, which it has explained on our stderr."""

    def __init__(self, host: str, code: int) -> None:
        super().__init__(f"The bench on {host} ended with exit code {code}.", why="The lines above say why.")
        self.exit_code = code


class FarBench:
    """Benches on one device.

    Parameters
    ----------
    remote:
        An open connection.
    say:
        Takes each line of talk from there as it comes.

    """

    def __init__(self, remote: Remote, say: Callable[[str], None]) -> None:
        self._remote = remote
        self._say = say
        self._program = self._find()

    def run(self, bundle: str | None, arguments: Sequence[str]) -> Report:
        """Run ``edge-ecg bench`` there.

        Parameters
        ----------
        bundle:
            The path of a bundle here, which is taken there and removed afterwards; ``current`` for the one
            that runs there; None for that, or the one that comes with the runtime where none does.
        arguments:
            For the bench there; ``--json`` is added.

        Raises
        ------
        RemoteError
            When the connection is lost, no edge-ecg is installed there, nothing is ``current`` there, or what
            comes back is no report.
        FarBenchError
            When the bench there fails, with its exit code.

        """
        if bundle not in (None, CURRENT):
            return self._with_upload(Path(bundle), arguments)
        there = self.current(required=bundle == CURRENT)
        return self._bench([] if there is None else ["--model", there], arguments)

    def current(self, *, required: bool) -> str | None:
        """Return the path there of the bundle that the device runs, or None.

        Raises
        ------
        RemoteError
            When it is required and there is none.

        """
        done = self._remote.run(f'[ -r "{_CURRENT_BUNDLE}" ] && printf "%s" "{_CURRENT_BUNDLE}"')
        if done.returncode == 0:
            return done.text
        if not required:
            return None
        raise RemoteError(
            f"No model runs on {self._remote.host}.",
            remedy=f"edge-ecg flash {self._remote.host} BUNDLE, or give a bundle with --model.",
        )

    def _find(self) -> str:
        done = self._remote.run(_FIND)
        if done.returncode:
            raise RemoteError(
                f"No edge-ecg is installed on {self._remote.host}.",
                why="It is neither in the folder that `edge-ecg flash` makes nor in the PATH there.",
                remedy=f"edge-ecg flash {self._remote.host} BUNDLE puts it there, with a model.",
            )
        return done.text.strip()

    def _with_upload(self, bundle: Path, arguments: Sequence[str]) -> Report:
        made = self._remote.run(["mktemp", "-d"])
        if made.returncode:
            raise RemoteError(f"{self._remote.host} has no room for a temporary file.", why=made.words)
        folder = PurePosixPath(made.text.strip())
        try:
            place = str(folder / "model.ecgb")
            self._remote.put(bundle, place)
            return self._bench(["--model", place], arguments)
        finally:
            self._remote.run(["rm", "-rf", "--", str(folder)])

    def _bench(self, model: Sequence[str], arguments: Sequence[str]) -> Report:
        words = [self._program, "bench", "--json", *model, *arguments]
        # The shell's number is the bench's own after exec: by it an interrupt here is taken there.
        script = f"echo $$; exec {shlex.join(words)} 2>&1"
        report: Report | None = None
        with self._remote.stream(["sh", "-c", script]) as stream:
            lines = iter(stream)
            number = next(lines, "")
            try:
                for line in lines:
                    if line.startswith("{") and _type_of(line) == TYPE:
                        report = self._parse(line)
                    elif line.strip():
                        self._say(line)
            except BaseException:
                if number.isdecimal():
                    self._remote.run(["kill", number])
                raise
            code = stream.returncode
        if code:
            raise FarBenchError(self._remote.host, code)
        if report is None:
            raise RemoteError(
                f"The bench on {self._remote.host} gave no report.",
                why="The edge-ecg that is installed there is of another version.",
                remedy=f"Bring it up to this one: edge-ecg flash {self._remote.host} BUNDLE",
            )
        report["host"] = self._remote.host
        return report

    def _parse(self, line: str) -> Report:
        try:
            return parse_report(line, f"What {self._remote.host} answers")
        except DataError as error:
            raise RemoteError(
                error.what,
                why=error.why,
                remedy=f"Bring the edge-ecg there up to this one: edge-ecg flash {self._remote.host} BUNDLE",
            ) from error


def _type_of(line: str) -> object:
    try:
        return json.loads(line).get("type")
    except (ValueError, RecursionError):
        return None
