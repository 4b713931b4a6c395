"""Releases on a device: created, switched to, confirmed, taken back, tidied away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_ecg.bundle import Manifest, write_bundle
from edge_ecg.deploy import Home, Releases
from edge_ecg.errors import GateError

NOW = 1_800_000_000.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    for runtime in ("one", "two"):
        folder = home.runtime(runtime)
        (folder / "bin").mkdir(parents=True)
        (folder / ".complete").touch()
    return home


@pytest.fixture
def releases(home: Home) -> Releases:
    return Releases(home, lambda: NOW)


@pytest.fixture(scope="session")
def bundles(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest, bundle_files: dict[str, bytes]
) -> list[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    for minor in range(6):
        write_bundle(folder / f"{minor}.ecgb", replace(manifest, version=f"0.{minor}.0"), bundle_files)
    return sorted(folder.iterdir())


def test_the_life_of_releases(home: Home, releases: Releases, bundles: list[Path]) -> None:
    assert releases.current() is None
    a = releases.create(bundles[0], "one", {})
    assert releases.current() is None
    assert releases.switch(a) is None
    assert releases.current() == a
    assert releases.previous() is None
    b = releases.create(bundles[1], "two", {})
    trial = releases.switch(b, 30.0)
    assert trial is not None
    assert (trial.release, trial.previous, trial.watch_s, trial.since) == (b.name, a.name, 30.0, NOW)
    assert releases.current() == b
    assert releases.previous() == a
    assert releases.confirm() == b
    assert releases.trial() is None
    c = releases.create(bundles[2], "two", {})
    releases.switch(c, 30.0)
    assert releases.revert("it crashed") == b
    assert releases.current() == b
    assert releases.previous() == a
    assert releases.bad()[c.name].reason == "it crashed"
    with pytest.raises(GateError, match="taken back"):
        releases.switch(c, 30.0)
    assert releases.switch(c, 30.0, again=True) is not None
