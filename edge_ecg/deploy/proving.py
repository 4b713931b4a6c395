"""Trying a bundle's engines on this device, each in a process of its own, so that none can take us down."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bundle import Manifest
from ..engines import AUTO, ENGINES
from ..errors import GateError, UsageError

PASSED, FAILED, ABSENT = "passed", "failed", "absent"

TIMEOUT_S = 120.0
ROUNDS = 20

# A window is decided every second, and there are the filters and the network beside the encoder.
MAX_LATENCY_MS = 800.0


@dataclass(frozen=True, slots=True)
class Proof:
    """How one engine came out.

    Attributes
    ----------
    engine:
        Its name.
    outcome:
        ``passed``, ``failed`` or ``absent`` (no package here runs it).
    package:
        Name and version of the package that runs it.
    why:
        Why not, in one sentence; empty when it passed.
    found:
        Agreement with the golden windows (``golden_...``) and latency (``p90_ms``, ...).

    """

    engine: str
    outcome: str
    package: str
    why: str
    found: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        why = {"why": self.why} if self.why else {}
        return {"outcome": self.outcome, "package": self.package, **why, **self.found}


def prove(
    bundle: Path, engine: str, python: Path, *, timeout_s: float = TIMEOUT_S, rounds: int = ROUNDS
) -> Proof:
    """Run the golden windows in one engine, and time it.

    Parameters
    ----------
    bundle:
        The bundle file.
    engine:
        An engine's full name.
    python:
        The interpreter of the runtime that is to run it.
    timeout_s:
        How long it may take.
    rounds:
        Timed windows.

    """
    # -P: over SSH this runs in the user's home, where a random.py or numpy.py of their own may lie.
    command = [str(python), "-P", "-m", "edge_ecg.deploy.selftest", str(bundle), engine, str(rounds)]
    try:
        child = subprocess.run(
            command, capture_output=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        package = _lines(error.stdout or b"").get("package", "")
        return Proof(engine, FAILED, package, f"It did not answer within {timeout_s:g} s.", {})
    except OSError as error:
        return Proof(engine, FAILED, "", f"{python} cannot be run: {error.strerror or error}.", {})
    found = _lines(child.stdout)
    package = str(found.pop("package", ""))
    outcome, why = found.pop("outcome", None), str(found.pop("why", ""))
    if child.returncode == 0 and outcome in (PASSED, FAILED, ABSENT):
        return Proof(engine, outcome, package, why, found)
    return Proof(engine, FAILED, package, _death(child.returncode, package, child.stderr), {})


def prove_all(
    bundle: Path, manifest: Manifest, python: Path, *, timeout_s: float = TIMEOUT_S, rounds: int = ROUNDS
) -> dict[str, Proof]:
    """Try every engine that the bundle has a file for, in the order in which ``auto`` takes them."""
    names = [name for name in ENGINES if name in manifest.engines]
    return {name: prove(bundle, name, python, timeout_s=timeout_s, rounds=rounds) for name in names}


def chosen(proofs: Mapping[str, Proof], engine: str, label: str) -> Proof:
    """Return the proof of the engine that the service would use; it must have passed.

    Parameters
    ----------
    proofs:
        What :func:`prove_all` found.
    engine:
        ``auto``, a runtime or an engine's full name, as the service is configured.
    label:
        What the bundle is called in messages.

    Raises
    ------
    UsageError
        When no package here runs such an engine, or the bundle has no file for it.
    GateError
        When the engine died, did not answer, or computed something else.

    """
    wanted = [proof for name, proof in proofs.items() if engine in (AUTO, name, ENGINES[name].runtime)]
    used = next((proof for proof in wanted if proof.outcome != ABSENT), None)
    if used is None:
        raise UsageError(
            f"No engine of {label} can run here.",
            why=f"It has files for {', '.join(proofs) or 'no engine at all'}; asked for was {engine!r}.",
            remedy=" or ".join(dict.fromkeys(proof.why for proof in wanted)) or "Choose another --engine.",
        )
    if used.outcome != PASSED:
        others = [name for name, proof in proofs.items() if proof.outcome == PASSED]
        remedy = f"The engine {others[0]} passed here: choose it with --engine {others[0]}" if others else ""
        raise GateError(
            f"{label} does not run on this device: {used.engine} failed its golden windows.",
            why=used.why,
            remedy=remedy or "Look at the versions here with `edge-ecg doctor`, and flash another runtime.",
        )
    return used


def _lines(stdout: bytes) -> dict[str, Any]:
    """Return all that the child said, put together."""
    found: dict[str, Any] = {}
    for line in stdout.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found |= value
    return found


def _death(code: int, package: str, stderr: bytes) -> str:
    # A shell or an emulator in between gives 128 + the number.
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        said = _last(stderr.decode(errors="replace").splitlines())
        return f"{package or 'The engine'} ended with exit code {code}{said}."
    hint = {
        "SIGILL": ": it uses an instruction that this processor does not have",
        "SIGKILL": ": most likely the memory is full",
    }.get(name, "")
    return f"{package or 'The engine'} died of {name}{hint}."


def _last(lines: Sequence[str]) -> str:
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f": {said.rstrip('.')}" if said else ""
