"""One attempt to flash that may come to any end, and what it was at when it did."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge_ecg.deploy.remote.flash import Flash
from edge_ecg.deploy.remote.flash_options import Flashed, FlashOptions
from edge_ecg.deploy.remote.ssh import Remote
from edge_ecg.errors import EdgeEcgError

from .device import Device


@dataclass
class Attempt:
    """What was told; ``on_step`` is called with each step's name, before flash goes on."""

    on_step: Callable[[str], None] = lambda name: None
    steps: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    error: EdgeEcgError | None = None
    result: Flashed | None = None

    def step(self, name: str, text: str) -> None:
        self.steps.append(name)
        self.texts.append(text)
        self.on_step(name)

    def progress(self, name: str, done: int, total: int) -> None:
        self.sent.append(done)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def attempt(
    device: Device,
    bundle: Path,
    *,
    host: str | None = None,
    on_step: Callable[[str], None] = lambda name: None,
    ssh: tuple[str, ...] = (),
    **options: object,
) -> Attempt:
    """Flash a device and keep what comes of it, an error too."""
    made = Attempt(on_step)
    with tempfile.TemporaryDirectory() as folder:
        try:
            flash = Flash(FlashOptions(bundle, **options), Path(folder))  # type: ignore[arg-type]
            with Remote(host or device.name, device.client.options(*ssh)) as remote:
                made.step("connect", "")
                made.result = flash.run(remote, made)
        except EdgeEcgError as error:
            made.error = error
    return made
