"""aarch64 wheels laid down from this host: pip only unpacks, nothing of them runs here."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from .cache import cached
from .host import run

REPOSITORY = Path(__file__).parents[2]
# pip does not know that a system that takes manylinux_2_28 takes all older ones too: name each.
_GLIBC = {"bookworm": 36, "trixie": 41}


def tags(python: str, machine: str = "aarch64") -> list[str]:
    """Return pip's options for wheels of that Python on that machine, of Debian's glibc and older."""
    newest = _GLIBC["bookworm" if python == "3.11" else "trixie"]
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, 16, -1)]
    platforms += [f"manylinux2014_{machine}", f"linux_{machine}"]
    options = [word for platform in platforms for word in ("--platform", platform)]
    return [*options, "--python-version", python, "--implementation", "cp", "--only-binary=:all:"]


def resolve(requirements: Sequence[str], python: str, machine: str = "aarch64") -> list[str]:
    """Return what pip would install today for these requirements there, as ``name==version``."""
    done = pip(
        "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-",
        "--target", "/nonexistent", *tags(python, machine), *requirements,
    )  # fmt: skip
    found = [entry["metadata"] for entry in json.loads(done)["install"]]
    return sorted(f"{entry['name']}=={entry['version']}" for entry in found)


def wheelhouse(pins: Sequence[str], python: str, machine: str = "aarch64") -> Path:
    """Return a folder with exactly these wheels, downloaded once."""

    def build(folder: Path) -> None:
        pip("download", "--quiet", "--no-deps", "--dest", folder, *tags(python, machine), *pins)

    return cached("wheels", [sorted(pins), python, machine], build)


def layer(pins: Sequence[str], python: str, packages_folder: str, machine: str = "aarch64") -> Path:
    """Return a folder to lay over a root file system, with these wheels unpacked where its Python looks."""

    def build(folder: Path) -> None:
        wheels = sorted(wheelhouse(pins, python, machine).glob("*.whl"))
        unpack(wheels, folder / packages_folder, python, machine)

    return cached("layer", [sorted(pins), python, packages_folder, machine], build)


def unpack(wheels: Iterable[Path], folder: Path, python: str, machine: str = "aarch64") -> None:
    """Unpack wheels into a folder of packages."""
    pip(
        "install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target", folder,
        *tags(python, machine), *wheels,
    )  # fmt: skip


def build_wheel(folder: Path) -> Path:
    """Build edge-ecg's own wheel from this checkout."""
    with tempfile.TemporaryDirectory() as work:
        pip("wheel", "--quiet", "--no-deps", "--wheel-dir", work, REPOSITORY)
        (made,) = Path(work).glob("edge_ecg-*.whl")
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(made, folder))


def pip(*words: str | Path) -> str:
    """Run this Python's pip and return what it printed."""
    return run(
        "nice", sys.executable, "-m", "pip", "--disable-pip-version-check", *words, timeout_s=600
    ).stdout
