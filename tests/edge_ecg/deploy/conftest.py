"""Homes to change, and a folder in which thousands of syncs take no time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from edge_ecg.deploy import Home, Release, Releases

from .tiny import Put, at, make_home


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: syncing thousands of times wears a disk, and takes its time."""
    shm = Path("/dev/shm")
    if not os.access(shm, os.W_OK):
        yield tmp_path
        return
    with TemporaryDirectory(dir=shm) as folder:
        yield Path(folder)


@pytest.fixture
def bundles(memory: Path) -> Path:
    """The folder of the bundles 1.ecgb (version 0.1.0) to 6.ecgb."""
    return memory / "bundles"


@pytest.fixture
def home(memory: Path, bundles: Path) -> Home:
    """A home without releases; the runtimes one, two and unused are there."""
    return make_home(memory / "home", bundles)


@pytest.fixture
def releases(home: Home) -> Releases:
    """Its releases, at a moment that stands still."""
    return at(home)


@pytest.fixture
def put(releases: Releases, bundles: Path) -> Put:
    """``put(minor, runtime="one")``: create a release of bundle 0.MINOR.0."""

    def create(minor: int, runtime: str = "one") -> Release:
        return releases.create(bundles / f"{minor}.ecgb", runtime, {"engine": "litert-int8"})

    return create
