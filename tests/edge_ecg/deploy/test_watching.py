"""Looking on while a release is on trial: what is told, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edge_ecg.deploy import Health, Home, Release, Releases, write_health
from edge_ecg.deploy.shelf import Shelf
from edge_ecg.deploy.watching import watch
from edge_ecg.errors import DataError, GateError, UsageError

from .tiny import NOW, at


class Script:
    """Time that goes on when it is slept through, and what happens at which moment."""

    def __init__(self, **happens: Callable[[], object]) -> None:
        self.now = 0.0
        self.happens = {int(moment[1:]): what for moment, what in happens.items()}

    def clock(self) -> float:
        return self.now

    def wall(self) -> float:
        return NOW + self.now

    def sleep(self, seconds: float) -> None:
        self.now = round(self.now + seconds, 6)
        for moment in [moment for moment in self.happens if moment <= self.now]:
            self.happens.pop(moment)()


Events = list[dict[str, Any]]


def watched(
    home: Home,
    script: Script,
    release: str | None = None,
    *,
    timeout_s: float = 30.0,
    seen: Events | None = None,
) -> Events:
    """Watch to the end; ``seen`` holds what was told even when it ends badly."""
    seen = [] if seen is None else seen
    seen.extend(
        watch(
            home, release, timeout_s=timeout_s, clock=script.clock, wall_clock=script.wall, sleep=script.sleep
        )
    )
    return seen


@pytest.fixture
def new(releases: Releases, bundles: Path) -> str:
    """The name of a release on trial, with a confirmed one before it."""
    releases.switch(releases.create(bundles / "1.ecgb", "one", {}))
    release = releases.create(bundles / "2.ecgb", "one", {})
    releases.switch(release, 8.0)
    return release.name


def report(home: Home, name: str, **changed: Any) -> None:
    write_health(home, replace(Health(name, 100, NOW), **changed))


def test_a_good_trial(home: Home, releases: Releases, new: str) -> None:
    old = releases.get("1").name
    report(home, old, ready=True, samples=10_000)
    script = Script(
        t2=lambda: report(home, new),
        t3=lambda: report(home, new, ready=True, device="sim:", samples=256, withheld=1),
        t5=lambda: report(home, new, ready=True, device="sim:", samples=512, withheld=2, decisions=1),
        t9=lambda: releases.confirm(new),
    )
    seen = watched(home, script)
    assert seen[0] == {
        "type": "watch", "event": "trial", "release": new, "elapsed_s": 0.0,
        "previous": old, "watch_s": 8.0, "since_s": 0.0,
    }  # fmt: skip
    assert seen[-1] == {"type": "watch", "event": "confirmed", "release": new, "elapsed_s": 9.0}
    health = seen[1:-1]
    assert {event["event"] for event in health} == {"health"}
    # The report of the release before says nothing of this one.
    assert health[0]["running"] is False
    assert health[0]["samples"] == 0
    told = [(event["elapsed_s"], event["running"], event["ready"], event["device"]) for event in health]
    assert [one for one in told if one[0] in (2.0, 3.0)] == [
        (2.0, True, False, None),
        (3.0, True, True, "sim:"),
    ]
    assert health[-1]["samples"] == 512
    assert health[-1]["decisions"] == 1
    # At least once a second something is told, so that a broken link is noticed.
    moments = [event["elapsed_s"] for event in seen]
    assert max(after - before for before, after in pairwise(moments)) <= 1.2


def test_one_that_goes_back_by_itself(home: Home, releases: Releases, new: str) -> None:
    script = Script(
        t1=lambda: report(home, new),
        t2=lambda: report(home, new, pid=101),
        t3=lambda: report(home, new, pid=101, error="The encoder raised."),
        t4=lambda: releases.revert("The encoder raised.", new),
    )
    seen: Events = []
    with pytest.raises(GateError) as caught:
        watched(home, script, seen=seen)
    assert new in caught.value.what
    assert releases.get("1").name in caught.value.what
    assert caught.value.why == "The encoder raised."
    assert caught.value.exit_code == 6
    restarted = [event for event in seen if event["event"] == "restarted"]
    assert [event["pid"] for event in restarted] == [101]
    assert [event["error"] for event in seen if event.get("error")] != []


def test_it_may_be_begun_again_after_the_end(home: Home, releases: Releases, new: str) -> None:
    releases.confirm()
    assert [event["event"] for event in watched(home, Script(), new)] == ["confirmed"]
    releases.revert("by hand")
    with pytest.raises(GateError, match="was taken back"):
        watched(home, Script(), new)


def test_one_that_is_replaced(home: Home, releases: Releases, new: str, bundles: Path) -> None:
    third = releases.create(bundles / "3.ecgb", "one", {})
    script = Script(t1=lambda: releases.switch(third, 8.0))
    with pytest.raises(GateError, match="another release was switched to") as caught:
        watched(home, script, new)
    assert third.name in caught.value.why


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (None, "has not reported"),
        ({}, "is not ready"),
        ({"ready": True}, "has not confirmed it yet"),
        ({"ready": True, "error": "No sample for 9 s."}, "No sample for 9 s."),
    ],
)
def test_out_of_time(home: Home, new: str, changed: dict[str, Any] | None, why: str) -> None:
    if changed is not None:
        report(home, new, **changed)
    script = Script()
    with pytest.raises(GateError) as caught:
        watched(home, script, timeout_s=3.0)
    assert why in caught.value.why
    assert "still on trial" in caught.value.what
    assert 3.0 <= script.now <= 3.4
    assert at(home).trial() is not None


def test_the_start_script_took_it_back(home: Home, releases: Releases, new: str) -> None:
    old = releases.get("1").name

    def fall_back() -> None:
        home.fallbacks.write_text(f"{new} {old} 1800000009 it was started 3 times\n")
        home.current.unlink()
        home.current.symlink_to(f"releases/{old}")

    with pytest.raises(GateError, match="it was started 3 times"):
        watched(home, Script(t1=fall_back))


def test_nothing_to_watch(home: Home) -> None:
    with pytest.raises(DataError, match="no current release"):
        watched(home, Script())


def test_a_name_that_is_none(home: Home, new: str) -> None:
    with pytest.raises((GateError, UsageError)):
        watched(home, Script(), "0099-x-000000000000")


def test_taken_back_between_two_looks_is_not_confirmed(
    home: Home, releases: Releases, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    link = Shelf._linked

    def linked(self: Shelf, path: Path) -> Release | None:
        nonlocal calls
        found = link(self, path)
        calls += 1
        if calls == 1:  # the first look at `current` is over
            releases.revert("The encoder raised.", new)
        return found

    monkeypatch.setattr(Shelf, "_linked", linked)
    with pytest.raises(GateError, match="was taken back"):
        watched(home, Script(), new)
