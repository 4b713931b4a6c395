"""QEMU's machine protocol (docs/interop/qmp-spec of QEMU): plugging devices into a running machine."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

TIMEOUT_S = 120.0


class Qmp:
    """A connection to a machine's control socket, for ``with``."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("r", encoding="utf-8")

    def __enter__(self) -> Self:
        self._next()  # its greeting
        self.do("qmp_capabilities")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self._socket.close()

    def do(self, command: str, **arguments: Any) -> Any:
        """Run a command and return its answer; RuntimeError when QEMU refuses it."""
        text = json.dumps(
            {"execute": command, "arguments": {k.replace("_", "-"): v for k, v in arguments.items()}}
        )
        self._socket.sendall(text.encode() + b"\n")
        while True:
            answer = self._next()
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def await_event(self, name: str) -> None:
        """Return once an event of this name has come."""
        while self._next().get("event") != name:
            pass

    def _next(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._lines.readline())
        return found
