"""Changes in any order, broken off anywhere, the start script in between: there is always one that runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_ecg.deploy import Releases
from edge_ecg.deploy.disk import Disk, Step
from edge_ecg.deploy.start_script import install_start_script
from edge_ecg.errors import EdgeEcgError

from .tiny import NOW, at, make_home

# None: the power stays; a number: it is cut before this step.
_CUTS = st.none() | st.integers(min_value=0, max_value=30)
_MINORS = st.integers(min_value=1, max_value=4)


class PowerCutError(BaseException):
    """Nothing catches this."""


def _cut_at(number: int | None) -> Callable[[Step], None]:
    left = [number]

    def before(_: Step) -> None:
        if left[0] is not None:
            if left[0] == 0:
                raise PowerCutError
            left[0] -= 1

    return before


class AnyOrder(RuleBasedStateMachine):
    """A device to which everything happens."""

    def __init__(self) -> None:
        super().__init__()
        shm = "/dev/shm"
        self.folder = Path(tempfile.mkdtemp(dir=shm if os.access(shm, os.W_OK) else None))
        self.bundles = self.folder / "bundles"
        self.home = make_home(self.folder / "home", self.bundles)
        self.cut = False
        self.ran = False

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def _try(self, change: Callable[[Releases], object], cut: int | None) -> bool:
        """Make a change; whether it was done, neither broken off nor refused."""
        try:
            change(Releases(self.home, lambda: NOW, disk=Disk(_cut_at(cut))))
        except PowerCutError:
            self.cut = True
            return False
        except EdgeEcgError:
            self.cut = False
            return False
        self.cut = False
        return True

    @initialize()
    def install(self) -> None:
        install_start_script(self.home)
        assert self._try(lambda r: r.switch(r.create(self.bundles / "1.ecgb", "one", {})), None)
        self.ran = True

    @rule(minor=_MINORS, runtime=st.sampled_from(["one", "two"]), cut=_CUTS)
    def create(self, minor: int, runtime: str, cut: int | None) -> None:
        if self._try(lambda r: r.create(self.bundles / f"{minor}.ecgb", runtime, {}), cut):
            assert any(one.version == f"0.{minor}.0" for one in at(self.home).all())

    @rule(number=st.integers(0, 10), watch_s=st.none() | st.just(60.0), again=st.booleans(), cut=_CUTS)
    def switch(self, number: int, watch_s: float | None, again: bool, cut: int | None) -> None:
        releases = at(self.home).all()
        wanted = releases[number % len(releases)]
        if self._try(lambda r: r.switch(wanted, watch_s, again=again), cut):
            current = at(self.home).current()
            assert current is not None
            assert current.name == wanted.name
            if watch_s is None:
                assert at(self.home).trial() is None

    @rule(cut=_CUTS)
    def confirm(self, cut: int | None) -> None:
        if self._try(lambda r: r.confirm(), cut):
            current = at(self.home).current()
            assert current is not None
            assert current.confirmed
            assert at(self.home).trial() is None

    @rule(cut=_CUTS)
    def revert(self, cut: int | None) -> None:
        before = at(self.home).current()
        assert before is not None
        if self._try(lambda r: r.revert("it failed", before.name), cut):
            current = at(self.home).current()
            assert current is not None
            assert current.name != before.name
            assert before.name in at(self.home).bad()

    @rule(spare=st.integers(0, 2), cut=_CUTS)
    def prune(self, spare: int, cut: int | None) -> None:
        self._try(lambda r: r.prune(spare), cut)

    @rule(times=st.integers(1, 4))
    def start(self, times: int) -> None:
        env = {"PATH": os.environ["PATH"], "EDGE_ECG_HOME": str(self.home.root)}
        for _ in range(times):
            done = subprocess.run(
                [self.home.start_script], capture_output=True, text=True, check=True, env=env
            )
            current = at(self.home).current()
            assert current is not None
            assert done.stdout.split()[0] == current.name

    @precondition(lambda self: self.ran)
    @invariant()
    def one_runs(self) -> None:
        shelf = at(self.home)
        current, previous, trial = shelf.current(), shelf.previous(), shelf.trial()
        assert current is not None
        current.check()
        for release in shelf.all():
            release.check()
        if trial is None and current.name not in shelf.bad():
            assert current.confirmed, "neither on trial nor confirmed"
        if trial is not None and trial.previous is not None:
            assert shelf.good(trial.previous) is not None, "there is nothing to go back to any more"
        if previous is not None:
            previous.check()

    @precondition(lambda self: self.ran and not self.cut)
    @invariant()
    def what_was_broken_off_is_finished(self) -> None:
        shelf = at(self.home)
        current = shelf.current()
        assert current is not None
        hidden = [path.name for path in self.home.root.rglob(".*") if path.name != ".complete"]
        assert hidden == []
        assert list(self.home.root.rglob("*.part")) == []


TestAnyOrder = pytest.mark.slow(AnyOrder.TestCase)
TestAnyOrder.settings = settings(
    max_examples=60, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
