"""The layers of one emulated Raspberry Pi OS: Debian, fixed packages, a second engine, edge-ecg itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ecg.deploy.remote.pins import BOTH, LITERT, pins

from . import wheels
from .boards import Board
from .rootfs import SUITES, Suite, rootfs
from .run import Emulated

# Known to die with an illegal instruction on a Pi 4 (microsoft/onnxruntime #23957, #24112).
BAD_ONNXRUNTIME = ["onnxruntime==1.21.0"]


def second_engine() -> list[str]:
    """Return what ONNX Runtime needs more than the base install, as fixed for devices."""
    base = pins(LITERT)
    return [one for one in pins(BOTH) if one not in base]


@dataclass(frozen=True)
class System:
    """A Debian release with edge-ecg in it: folders to be laid over one another, the uppermost first."""

    suite: Suite
    layers: tuple[Path, ...]

    @classmethod
    def build(
        cls,
        suite: str,
        own: Path,
        wheel: Path,
        base: Sequence[str] | None = None,
        engine: Sequence[str] | None = None,
    ) -> System:
        """Build it, or take its parts from the cache.

        Parameters
        ----------
        suite:
            ``bookworm`` or ``trixie``.
        own:
            A new folder for edge-ecg's layer.
        wheel:
            edge-ecg's wheel.
        base, engine:
            Wheels (``name==version``) of the base install and of ONNX Runtime; None: as devices get.

        Raises
        ------
        AbsentError
            Where this host cannot.

        """
        release = SUITES[suite]
        root = rootfs(release)
        parts = [
            wheels.layer(list(pinned), release.python, release.packages_folder)
            for pinned in (
                second_engine() if engine is None else engine,
                pins(LITERT) if base is None else base,
            )
            if pinned
        ]
        wheels.unpack([wheel], own / release.packages_folder, release.python)
        return cls(release, (own, *parts, root))

    def on(self, board: Board, work: Path) -> Emulated:
        """Return it as it is on a board, with a folder for what is written there."""
        return Emulated(self.layers, board, work)
