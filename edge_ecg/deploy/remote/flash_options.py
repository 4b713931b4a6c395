"""What ``flash`` is asked for, who is told what goes on, and what comes of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol


class Listener(Protocol):
    """Who is told what goes on; all that is called may come from any thread."""

    def step(self, name: str, text: str) -> None:
        """A step has begun or ended: its name in one word, and a sentence."""

    def progress(self, name: str, done: int, total: int) -> None:
        """So many bytes of all have arrived."""

    def warn(self, text: str) -> None:
        """Something is not as it should be, and does not keep us from going on."""


@dataclass(frozen=True, slots=True)
class FlashOptions:
    """What to put on a device, and how.

    Attributes
    ----------
    bundle:
        The bundle file.
    watch_s:
        How long the service must run the new model in good health.
    engine:
        ``litert``, or ``both`` with ONNX Runtime beside it.
    wheelhouse:
        Send the runtime's packages from this folder; None: the device gets them from PyPI.
    runtime_wheel:
        Another wheel of edge-ecg than the one that is made of what runs here.
    trust:
        A public key to put among the device's trusted ones first.
    service:
        Install the service, reading from this address (empty: as configured there); None: do not.
    max_latency_ms:
        The latency gate; None: the device's own.
    allow_downgrade, again:
        Take an older version; take one that was taken back before.
    dry_run:
        Look and say what would be done.

    """

    bundle: Path
    watch_s: float = 30.0
    engine: str = "litert"
    wheelhouse: Path | None = None
    runtime_wheel: str | None = None
    trust: Path | None = None
    service: str | None = None
    max_latency_ms: float | None = None
    allow_downgrade: bool = False
    again: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Flashed:
    """What came of it: the release that counts now, the one before, and whether anything was changed.

    ``confirmed`` is True when the release has proven itself: by its golden windows alone where there is no
    service (``watched`` False), else by running in good health; after a dry run, when it is there already.
    """

    release: str
    previous: str | None
    model: str
    changed: bool
    confirmed: bool
    watched: bool
    runtime: str
    dry_run: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)
