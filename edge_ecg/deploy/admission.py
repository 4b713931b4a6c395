"""Whether a bundle may run on this device: nothing is switched before all of this has passed, here."""

from __future__ import annotations

import hashlib
import platform
import sys
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Any

from .._version import __version__
from ..bench.emulated import emulated as emulated_machine
from ..bundle import Bundle
from ..engines import AUTO, engine_names
from ..errors import BundleError, DataError, EdgeEcgError, GateError
from ..health.host import free_bytes
from . import proving
from .creating import bundle_file
from .disk import Disk, nearest_folder
from .layout import Home
from .proving import MAX_LATENCY_MS, Proof, prove_all
from .release import Release
from .releases import Releases
from .remembered import require_newer

# For the journal, the state and whatever else the day brings.
_MARGIN_BYTES = 16 * 1024 * 1024

_EMULATED_TIMEOUT_S = 900.0

Prover = Callable[[Path, Bundle, Path], dict[str, Proof]]


def admit(
    home: Home,
    bundle_path: Path,
    *,
    runtime_id: str | None = None,
    engine: str | None = None,
    max_latency_ms: float = MAX_LATENCY_MS,
    allow_downgrade: bool = False,
    deployment: str | None = None,
    clock: Callable[[], float] = time,
    disk: Disk | None = None,
    free: Callable[[Path], int] = free_bytes,
    emulated: Callable[[], str | None] = emulated_machine,
    prover: Prover | None = None,
) -> Release:
    """Check a bundle on this device and put it among its releases; nothing is switched.

    Parameters
    ----------
    home:
        Where edge-ecg keeps what it has here.
    bundle_path:
        The bundle; one in ``incoming`` is removed when it has become a release.
    runtime_id:
        The runtime that will run it; left out: the one that runs this.
    engine:
        The engine that the service will use; left out: the one in ``config.toml``. All others are tried,
        too, but only this one must pass.
    max_latency_ms:
        What the 90th percentile of one window's time must stay below.
    allow_downgrade:
        Whether a version below the highest confirmed one is welcome.
    deployment:
        Names the deployment in the journal.
    clock, disk, free, emulated, prover:
        Seconds since 1970, what makes the changes, room on a disk, why times mean nothing here (None: they
        do), and what tries the engines.

    Returns
    -------
    The release; the one that is there already when the bundle was admitted before.

    Raises
    ------
    BundleError
        When it is damaged, made for a newer runtime, or not signed as this device demands.
    GateError
        When it is older than allowed, computes something else here, dies here, or is too slow.
    UsageError, DataError
        When no engine of it can run here; when the disk has no room.

    """
    releases = Releases(home, clock, disk=disk)
    digest: str | None = None
    try:
        data, bundle = bundle_file(_where_it_is(releases, bundle_path))
        digest = hashlib.sha256(data).hexdigest()
        if _is_upload(home, bundle_path) and bundle_path.stem != digest:
            raise BundleError(
                f"{bundle_path.name} is not the file that was sent.",
                why=f"Its SHA-256 is {digest}.",
                remedy="Send it again.",
            )
        if not allow_downgrade:
            require_newer(home, bundle.manifest)
        runtime, python = _runtime(home, runtime_id)
        for release in releases.all():
            if release.sha256 == digest and release.runtime == runtime and releases.good(release.name):
                _remove_upload(releases, bundle_path)
                return release
        _note(releases, "uploaded", digest, deployment, bytes=len(data), model=bundle.name_at_sha)
        _require_room(home, len(data), free)
        why = emulated()
        # Times of an emulated machine mean nothing, and each takes a hundred times as long there.
        prove = prover or (_prove if why is None else _prove_untimed)
        proofs = prove(bundle_path, bundle, python)
        used = proving.chosen(proofs, engine or configured_engine(home), bundle.name_at_sha)
        _require_speed(bundle, used, max_latency_ms, why)
    except EdgeEcgError as error:
        if digest is not None:
            _note(releases, "refused", digest, deployment, reason=f"{error.what} {error.why}".strip())
        raise
    admitted = _admitted(proofs, used, max_latency_ms, why)
    release = releases.create(bundle_path, runtime, admitted, sha256=digest)
    _remove_upload(releases, bundle_path)
    return release


def configured_engine(home: Home) -> str:
    """Return what ``config.toml`` says in ``model.engine``; ``auto`` where that is no engine."""
    try:
        value = tomllib.loads(home.config.read_text(encoding="utf-8"))["model"]["engine"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return AUTO  # what is wrong with the file the service says itself
    return value if value in engine_names() else AUTO


def _prove(path: Path, bundle: Bundle, python: Path) -> dict[str, Proof]:
    return prove_all(path, bundle.manifest, python)


def _prove_untimed(path: Path, bundle: Bundle, python: Path) -> dict[str, Proof]:
    return prove_all(path, bundle.manifest, python, timeout_s=_EMULATED_TIMEOUT_S, rounds=1)


def _is_upload(home: Home, path: Path) -> bool:
    return path.parent.resolve() == home.incoming.resolve()


def _remove_upload(releases: Releases, path: Path) -> None:
    if _is_upload(releases.home, path):
        with suppress(OSError):
            releases.disk.delete(path)


def _where_it_is(releases: Releases, path: Path) -> Path:
    """Return the release's bundle for an upload that has become one before, should the command come again."""
    if path.exists() or not _is_upload(releases.home, path):
        return path
    known = [one for one in releases.all() if one.sha256 == path.stem and releases.good(one.name)]
    return known[-1].bundle if known else path


def _runtime(home: Home, runtime_id: str | None) -> tuple[str, Path]:
    """Return the runtime's name and its interpreter."""
    if runtime_id is None:
        own = Path(sys.prefix)
        inside = own.parent.resolve() == home.runtimes.resolve()
        return (own.name if inside else str(own)), Path(sys.executable)
    return runtime_id, home.runtime(runtime_id) / "bin" / "python"


def _require_room(home: Home, size: int, free: Callable[[Path], int]) -> None:
    left = free(nearest_folder(home.root))
    if left < size + _MARGIN_BYTES:
        raise DataError(
            f"The disk of {home.root} has no room for this bundle.",
            why=f"{left / 1e6:.0f} MB are free, {(size + _MARGIN_BYTES) / 1e6:.0f} MB are needed.",
            remedy="Make room: `edge-ecg device prune`, sudo apt clean.",
        )


def _require_speed(bundle: Bundle, used: Proof, limit_ms: float, emulated: str | None) -> None:
    p90_ms = used.found.get("p90_ms")
    if emulated is not None or p90_ms is None or p90_ms < limit_ms:
        return
    raise GateError(
        f"{bundle.name_at_sha} is too slow on this device.",
        why=f"In {used.engine} 9 of 10 windows take up to {p90_ms:.0f} ms; allowed are {limit_ms:.0f} ms.",
        remedy="Look for heat and power with `edge-ecg doctor`, or allow more with --max-latency-ms.",
    )


def _admitted(proofs: dict[str, Proof], used: Proof, limit_ms: float, emulated: str | None) -> dict[str, Any]:
    latency: dict[str, Any] = {"limit_ms": limit_ms}
    if emulated is not None:
        latency["skipped"] = emulated
    engines = {name: proof.to_json() for name, proof in proofs.items()}
    if emulated is not None:
        engines = {name: _without_times(one) for name, one in engines.items()}
    else:
        latency["p90_ms"] = used.found.get("p90_ms")
    return {
        "engine": used.engine,
        "engines": engines,
        "latency": latency,
        "edge_ecg": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def _without_times(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if not name.endswith("_ms")}


def _note(releases: Releases, step: str, sha256: str, deployment: str | None, **more: Any) -> None:
    with suppress(OSError):
        releases.journal.record(step, sha256=sha256, deployment=deployment, **more)
