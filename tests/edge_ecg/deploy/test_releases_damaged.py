"""Releases whose state is damaged or half done: what comes of it, and that nothing stands in the way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_ecg.bundle import read_highest
from edge_ecg.deploy import Home, Releases
from edge_ecg.deploy.trial import read_bad, read_fallbacks, read_trial
from edge_ecg.errors import BundleError, DataError

from .tiny import Put, name


def test_what_the_start_script_took_back(put: Put, releases: Releases, home: Home) -> None:
    first, second = put(1), put(2)
    releases.switch(first)
    releases.switch(second, 45.0)
    home.fallbacks.write_text(
        f"{second.name} {first.name} 1800000060 it was started 3 times\n"
        f"garbage\n../../x {first.name} 1 y\n{second.name} {first.name} soon z\n{first.name} x"
    )
    home.current.unlink()
    home.current.symlink_to(f"releases/{first.name}")
    assert [found for found, _ in read_fallbacks(home)] == [second.name]
    assert releases.bad()[second.name].at == "2027-01-15T08:01:00Z"
    assert releases.trial() is None
    # The next command writes it down where it belongs.
    assert name(releases.revert("it failed, too", second.name)) == first.name
    assert not home.fallbacks.exists()
    assert not home.trial.exists()
    assert releases.previous() is None
    assert json.loads(home.bad.read_text())["releases"][second.name]["reason"] == "it was started 3 times"


def test_the_start_script_noted_it_but_could_not_switch(put: Put, releases: Releases, home: Home) -> None:
    first, second = put(1), put(2)
    releases.switch(first)
    releases.switch(second, 45.0)
    home.fallbacks.write_text(f"{second.name} {first.name} 1800000060 it was started 3 times\n")
    assert releases.confirm(second.name) is None
    assert name(releases.current()) == first.name


@given(st.binary(max_size=300))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_damaged_state_is_no_error(releases: Releases, data: bytes) -> None:
    home = releases.home
    home.state.mkdir(parents=True, exist_ok=True)
    for path in (home.trial, home.bad, home.fallbacks, home.journal):
        path.write_bytes(data)
    assert read_trial(home) is None
    assert isinstance(read_bad(home), dict)
    assert releases.trial() is None
    assert isinstance(releases.journal.entries(), list)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["release", "previous", "since", "watch_s", "releases"]), inner)
    ),
    max_leaves=10,
)


@given(_JSON)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_odd_state_is_no_error(releases: Releases, value: object) -> None:
    home = releases.home
    home.state.mkdir(parents=True, exist_ok=True)
    for path in (home.trial, home.bad, home.reverting):
        path.write_text(json.dumps(value))
    read_trial(home)
    assert isinstance(read_bad(home), dict)
    assert releases.current() is None


def test_damaged_state_keeps_nobody_from_switching(put: Put, releases: Releases, home: Home) -> None:
    first, second = put(1), put(2)
    releases.switch(first)
    for path in (home.trial, home.bad, home.journal, home.highest, home.reverting, home.starts):
        path.write_bytes(b"\0\0\0\xff")
    releases.switch(second, 45.0)
    assert name(releases.confirm()) == second.name
    assert read_highest(home.highest)["tiny"].version == "0.2.0"
    assert name(releases.revert("by hand")) == first.name


def test_an_older_version_does_not_lower_the_highest(put: Put, releases: Releases, home: Home) -> None:
    old, new = put(1), put(5)
    releases.switch(new)
    releases.switch(old)
    assert read_highest(home.highest)["tiny"].version == "0.5.0"


def test_one_that_had_to_go_but_could_not_and_mended_itself(put: Put, releases: Releases, home: Home) -> None:
    only = put(1)
    releases.switch(only, 45.0)
    home.bad.write_text(json.dumps({"releases": {only.name: {"reason": "it failed", "at": "then"}}}))
    assert name(releases.confirm(only.name)) == only.name
    assert releases.bad() == {}


def test_a_link_that_leads_nowhere_is_switched_from(put: Put, releases: Releases) -> None:
    first, second, third = put(1), put(2), put(3)
    releases.switch(first)
    releases.switch(second)
    shutil.rmtree(second.path)
    trial = releases.switch(third, 45.0)
    assert trial is not None
    assert trial.previous == first.name
    assert name(releases.previous()) == first.name


def test_no_current_release_to_confirm(releases: Releases) -> None:
    with pytest.raises(DataError, match="no current release"):
        releases.confirm()


def test_the_file_must_be_the_one_that_was_checked(releases: Releases, bundles: Path) -> None:
    with pytest.raises(BundleError, match="not the file any more"):
        releases.create(bundles / "1.ecgb", "one", {}, sha256="0" * 64)
