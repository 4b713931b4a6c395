"""Homes with tiny bundles: small enough to be copied thousands of times, whole enough to be checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_ecg.bundle import EncoderSpec, InputSpec, Manifest, TaskSpec, write_bundle
from edge_ecg.deploy import Home, Release, Releases

NOW = 1_800_000_000.0

# Stands for the edge-ecg of a runtime: says what it was started as.
PROGRAM = '#!/bin/sh\necho "$EDGE_ECG_RELEASE $EDGE_ECG_HOME $*"\n'


def tiny_bundle(path: Path, version: str, name: str = "tiny") -> Path:
    """Write a bundle whose encoder is no encoder; every hash in it is right."""
    manifest = Manifest(
        name=name,
        version=version,
        created="2026-01-31T12:00:00Z",
        minimum_runtime="0.1.0",
        input=InputSpec(),
        encoder=EncoderSpec(),
        tasks={"stress": TaskSpec(("rest", "stress"), "heads/stress.npz")},
        engines={"litert-int8": "encoder.int8.tflite"},
    )
    files = {"encoder.int8.tflite": b"none", "heads/stress.npz": b"none"}
    write_bundle(path, manifest, files)
    return path


def make_runtime(home: Home, name: str) -> None:
    """Make a complete runtime that says what it was started as."""
    program = home.runtime(name) / "bin" / "edge-ecg"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM)
    program.chmod(0o755)
    (home.runtime(name) / ".complete").touch()


def make_home(root: Path, bundles: Path) -> Home:
    """Make a home with two runtimes and no release, and bundles 0.1.0 to 0.6.0 beside it."""
    home = Home(root)
    for runtime in ("one", "two", "unused"):
        make_runtime(home, runtime)
    bundles.mkdir(parents=True, exist_ok=True)
    for minor in range(1, 7):
        tiny_bundle(bundles / f"{minor}.ecgb", f"0.{minor}.0")
    return home


def at(home: Home) -> Releases:
    """Return the releases of a home at one moment that stands still."""
    return Releases(home, lambda: NOW)


Put = Callable[..., Release]


def name(release: Release | None) -> str | None:
    """Return a release's name; None for none."""
    return release.name if release else None
