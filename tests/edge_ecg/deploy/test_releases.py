"""Releases on a device: created, switched to, confirmed, taken back, tidied away."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_ecg.bundle import PublicKey, read_bundle, read_highest, sign_bundle
from edge_ecg.deploy import Health, Home, Release, Releases, write_health
from edge_ecg.deploy.release import is_release_name, release_name
from edge_ecg.deploy.trial import ROLLOUT_HALTED
from edge_ecg.errors import BundleError, DataError, GateError, UsageError

from .tiny import NOW, Put, at, make_runtime, name, tiny_bundle


def test_a_release_is_the_bundle_its_runtime_and_what_was_found_out(
    home: Home, put: Put, bundles: Path
) -> None:
    release = put(1, "two")
    bundle = read_bundle(bundles / "1.ecgb")
    assert release.name == f"0001-tiny-{bundle.manifest_sha256[:12]}"
    assert release.model == bundle.name_at_sha
    assert release.version == "0.1.0"
    assert release.created == "2027-01-15T08:00:00Z"
    assert release.bundle.read_bytes() == (bundles / "1.ecgb").read_bytes()
    assert release.program.resolve() == home.runtime("two") / "bin/edge-ecg"
    assert os.readlink(release.path / "runtime") == "../../runtimes/two"
    assert release.admitted == {"engine": "litert-int8"}
    assert Release.read(release.path) == release
    assert at(home).current() is None
    for path in (release.path, home.releases, home.state):
        assert path.stat().st_mode & 0o077 == 0, path
    assert release.bundle.stat().st_mode & 0o777 == 0o600


def test_the_same_bundle_again_is_the_same_release(put: Put, releases: Releases) -> None:
    first = put(1)
    assert put(1) == first
    assert put(1, "two").number == 2
    assert [one.number for one in releases.all()] == [1, 2]


def test_a_damaged_release_is_not_taken_for_the_bundle(put: Put) -> None:
    first = put(1)
    first.bundle.write_bytes(first.bundle.read_bytes()[:-1])
    second = put(1)
    assert second.number == 2
    second.check()


def test_switch_without_a_service_confirms_at_once(put: Put, releases: Releases, home: Home) -> None:
    first, second = put(1), put(2)
    assert releases.switch(first) is None
    assert (name(releases.current()), name(releases.previous())) == (first.name, None)
    assert releases.switch(second) is None
    assert (name(releases.current()), name(releases.previous())) == (second.name, first.name)
    assert os.readlink(home.current) == f"releases/{second.name}"
    assert second.confirmed
    assert not home.trial.exists()
    assert read_highest(home.highest)["tiny"].version == "0.2.0"
    assert [entry.step for entry in releases.journal.entries()] == [
        "admitted", "admitted", "switched", "confirmed", "switched", "confirmed",
    ]  # fmt: skip


def test_a_trial_and_its_good_end(put: Put, releases: Releases, home: Home) -> None:
    first, second = put(1), put(2)
    releases.switch(first)
    trial = releases.switch(second, 45.0)
    assert trial is not None
    assert (trial.release, trial.previous, trial.since, trial.watch_s) == (
        second.name, first.name, NOW, 45.0,
    )  # fmt: skip
    assert releases.trial() == trial
    assert not second.confirmed
    assert read_highest(home.highest)["tiny"].version == "0.1.0"
    # Again: nothing changes, and the trial is told again.
    assert releases.switch(second.name, 99.0) == trial
    assert name(releases.previous()) == first.name
    assert name(releases.confirm()) == second.name
    assert releases.trial() is None
    assert second.confirmed
    assert not home.starts.exists()
    assert read_highest(home.highest)["tiny"].version == "0.2.0"
    assert name(releases.confirm()) == second.name
    steps = [entry.step for entry in releases.journal.entries() if entry.release == second.name]
    assert steps == ["admitted", "switched", "confirmed"]


def test_a_trial_and_its_bad_end(put: Put, releases: Releases, home: Home) -> None:
    first, second = put(1), put(2)
    releases.switch(first)
    releases.switch(second, 45.0)
    assert name(releases.revert("no sample came", second.name)) == first.name
    assert (name(releases.current()), name(releases.previous())) == (first.name, None)
    assert releases.trial() is None
    assert not home.trial.exists()
    bad = releases.bad()[second.name]
    assert (bad.reason, bad.to, bad.at) == ("no sample came", first.name, "2027-01-15T08:00:00Z")
    assert read_highest(home.highest)["tiny"].version == "0.1.0"
    # Said again it changes nothing.
    assert name(releases.revert("no sample came", second.name)) == first.name
    entry = releases.journal.last(second.name)
    assert entry is not None
    assert entry.step == "reverted"
    assert entry.more == {"reason": "no sample came", "to": first.name}


def test_one_that_was_taken_back_is_tried_again_only_on_demand(put: Put, releases: Releases) -> None:
    first, second = put(1), put(2)
    releases.switch(first)
    releases.switch(second, 45.0)
    releases.revert("no sample came")
    with pytest.raises(GateError, match="no sample came") as caught:
        releases.switch(second, 45.0)
    assert "--again" in caught.value.remedy
    assert name(releases.current()) == first.name
    assert releases.switch(second, 45.0, again=True) is not None
    assert releases.bad() == {}
    assert name(releases.confirm()) == second.name


def test_one_that_went_back_because_another_device_failed_needs_no_demand(
    put: Put, releases: Releases
) -> None:
    first, second = put(1), put(2)
    releases.switch(first)
    releases.switch(second)
    assert name(releases.revert(ROLLOUT_HALTED, second.name)) == first.name
    assert releases.switch(second) is None
    assert name(releases.current()) == second.name
    assert releases.bad() == {}


def test_only_the_release_that_is_meant_is_confirmed_or_taken_back(put: Put, releases: Releases) -> None:
    first, second = put(1), put(2)
    releases.switch(first)
    releases.switch(second, 45.0)
    assert releases.confirm(first.name) is None
    assert releases.trial() is not None
    assert name(releases.revert("late news", first.name)) == second.name
    assert releases.trial() is not None
    assert releases.bad() == {}


def test_back_and_back_again_to_the_oldest(put: Put, releases: Releases) -> None:
    first, second, third = put(1), put(2), put(3)
    for one in (first, second, third):
        releases.switch(one)
    assert name(releases.revert("by hand")) == second.name
    assert name(releases.previous()) == first.name
    assert name(releases.revert("by hand")) == first.name
    assert releases.previous() is None
    with pytest.raises(DataError, match="no release to go back to"):
        releases.revert("by hand")
    assert name(releases.current()) == first.name


def test_one_that_was_never_confirmed_is_nothing_to_go_back_to(put: Put, releases: Releases) -> None:
    put(1)
    releases.switch(put(2), 45.0)
    with pytest.raises(DataError, match="no release to go back to"):
        releases.revert("it failed")
    assert releases.bad() == {}


def test_a_trial_that_takes_the_place_of_a_trial(put: Put, releases: Releases) -> None:
    first, second, third = put(1), put(2), put(3)
    releases.switch(first)
    releases.switch(second, 45.0)
    trial = releases.switch(third, 45.0)
    assert trial is not None
    assert trial.previous == first.name
    assert name(releases.previous()) == first.name
    assert name(releases.revert("it failed")) == first.name


def test_the_very_first_trials_have_each_other_only(put: Put, releases: Releases) -> None:
    first, second = put(1), put(2)
    releases.switch(first, 45.0)
    trial = releases.switch(second, 45.0)
    assert trial is not None
    assert trial.previous == first.name
    assert name(releases.revert("it failed")) == first.name


def test_going_back_skips_what_is_damaged_or_bad(put: Put, releases: Releases) -> None:
    ones = [put(minor) for minor in (1, 2, 3, 4)]
    for one in ones:
        releases.switch(one)
    ones[2].bundle.write_bytes(b"")
    shutil.rmtree(ones[1].path / "bin", ignore_errors=True)
    (ones[1].path / "runtime").unlink()
    assert name(releases.revert("by hand")) == ones[0].name


def test_a_link_that_leads_nowhere_is_gone_back_from(put: Put, releases: Releases) -> None:
    first, second = put(1), put(2)
    releases.switch(first)
    releases.switch(second)
    shutil.rmtree(second.path)
    assert releases.current() is None
    assert name(releases.revert("it is gone")) == first.name


def test_a_damaged_release_is_not_switched_to(put: Put, releases: Releases) -> None:
    first, second = put(1), put(2)
    releases.switch(first)
    data = bytearray(second.bundle.read_bytes())
    data[100] ^= 1
    second.bundle.write_bytes(data)
    with pytest.raises(DataError, match="SHA-256"):
        releases.switch(second)
    second.bundle.unlink()
    with pytest.raises(DataError, match=r"model\.ecgb"):
        releases.switch(second)
    assert name(releases.current()) == first.name


def test_a_runtime_must_be_complete(put: Put, releases: Releases, home: Home) -> None:
    first, second = put(1), put(2, "two")
    releases.switch(first)
    (home.runtime("two") / ".complete").unlink()
    with pytest.raises(DataError, match="not installed completely"):
        releases.switch(second)
    with pytest.raises(DataError, match="not installed completely"):
        put(3, "two")
    shutil.rmtree(home.runtime("two"))
    with pytest.raises(DataError, match="Its runtime two is missing"):
        releases.switch(second)
    assert name(releases.current()) == first.name


@pytest.mark.parametrize("runtime", ["", ".", "..", "../x", "a/b", ".hidden", "x y", "/no/such/folder"])
def test_odd_names_of_runtimes(put: Put, runtime: str) -> None:
    with pytest.raises(UsageError):
        put(1, runtime)


def test_a_runtime_elsewhere(put: Put, releases: Releases, tmp_path: Path) -> None:
    release = put(1, str(tmp_path))
    assert os.readlink(release.path / "runtime") == str(tmp_path)
    releases.switch(release)
    assert name(releases.current()) == release.name


def test_the_signer_must_still_be_trusted(
    put: Put, releases: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = put(1), put(2)
    releases.switch(first)
    monkeypatch.setenv("EDGE_ECG_TRUSTED_KEYS", str(tmp_path))
    (tmp_path / "somebody.pub").write_text(f"{PublicKey(bytes(range(32)), 'somebody').line}\n")
    with pytest.raises(BundleError, match="not signed"):
        releases.switch(second)
    with pytest.raises(BundleError, match="not signed"):
        put(3)
    # Who runs goes on, and is confirmed: never none.
    assert name(releases.confirm()) == first.name


def test_a_way_back_passes_over_what_would_not_start(
    home: Home, releases: Releases, bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    for minor in (1, 3):
        path = bundles / f"{minor}.ecgb"
        path.write_bytes(sign_bundle(path.read_bytes(), private))
    made = [releases.create(bundles / f"{minor}.ecgb", "one", {}) for minor in (1, 2, 3)]
    for release in made:
        releases.switch(release)
    assert name(releases.previous()) == made[1].name
    public = PublicKey(private.public_key().public_bytes_raw(), "ann")
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "ann.pub").write_text(f"{public.line}\n")
    monkeypatch.setenv("EDGE_ECG_TRUSTED_KEYS", str(folder))
    # The one before is not signed: the service would refuse it.
    assert releases.revert("by hand").name == made[0].name
    with pytest.raises(DataError, match="no release to go back to"):
        releases.revert("by hand")
    assert name(releases.current()) == made[0].name


def test_names(releases: Releases, put: Put) -> None:
    first, second = put(1), put(2)
    for words in (first.name, "1", first.model, first.sha256):
        assert releases.get(words) == first
    with pytest.raises(UsageError, match="no release '7'") as caught:
        releases.get("7")
    assert second.name in caught.value.remedy
    with pytest.raises(UsageError, match="Here are: none"):
        Releases(Home(releases.home.root / "nothing")).get("1")


@pytest.mark.parametrize("label", ["a/b", "..", "", " ", "ä", "x" * 300, "a b", "-x", "\n", "stress"])
def test_any_name_of_a_model_makes_a_name_of_a_folder(label: str, tmp_path: Path) -> None:
    # Readers refuse most of these by now; a folder's name must not depend on it.
    bundle = read_bundle(tiny_bundle(tmp_path / "x.ecgb", "1.0.0"))
    found = release_name(7, replace(bundle, manifest=replace(bundle.manifest, name=label)))
    assert is_release_name(found)
    assert "/" not in found
    assert len(found) < 80


def test_what_is_no_release_is_passed_over(put: Put, releases: Releases, home: Home) -> None:
    first = put(1)
    (home.releases / "notes").mkdir()
    (home.releases / "0005-x-000000000000").mkdir()
    (home.releases / "0006-x-000000000000").mkdir()
    (home.releases / "0006-x-000000000000" / "release.json").write_text('{"number": "six"}')
    (home.releases / "0007-x-000000000000").write_text("a file")
    assert releases.all() == [first]
    assert put(2).number == 8


def test_prune_keeps_what_is_needed(put: Put, releases: Releases, home: Home) -> None:
    ones = [put(minor, "one" if minor < 5 else "two") for minor in range(1, 7)]
    for one in ones[:5]:
        releases.switch(one)
    # Current: 5, before: 4; 6 was admitted and is the newest of the others.
    assert releases.prune() == [ones[0].name, ones[1].name, ones[2].name, "unused"]
    assert [one.number for one in releases.all()] == [4, 5, 6]
    assert sorted(path.name for path in home.runtimes.iterdir()) == ["one", "two"]
    assert releases.prune() == []
    assert releases.prune(spare=0) == [ones[5].name]
    assert (name(releases.current()), name(releases.previous())) == (ones[4].name, ones[3].name)


def test_prune_keeps_what_runs_what_is_built_and_what_it_is_told_to(
    put: Put, releases: Releases, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    ones = [put(minor) for minor in (1, 2, 3, 4)]
    for one in ones:
        releases.switch(one)
    write_health(home, Health(ones[0].name, os.getpid(), NOW))
    for runtime in ("own", "wanted", "young", "old"):
        make_runtime(home, runtime)
    for runtime, age_s in (("young", 60.0), ("old", 2 * 24 * 3600.0)):
        (home.runtime(runtime) / ".complete").unlink()
        os.utime(home.runtime(runtime), (NOW - age_s, NOW - age_s))
    monkeypatch.setattr(sys, "prefix", str(home.runtime("own")))
    removed = releases.prune(spare=0, keep=frozenset({"wanted"}))
    assert removed == [ones[1].name, "old", "two", "unused"]


def test_prune_takes_uploads_that_nobody_goes_on_with(releases: Releases, home: Home) -> None:
    days = {"cut.part": 3.0, "refused.ecgb": 8.0, "wheels/a/x.whl": 100.0}
    for path, age in days.items():
        file = home.incoming / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (NOW - age * 24 * 3600.0, NOW - age * 24 * 3600.0))
    assert releases.prune()[-2:] == ["refused.ecgb", "x.whl"]
    assert [path.name for path in home.incoming.rglob("*") if path.is_file()] == ["cut.part"]


def test_a_bad_release_goes_first_and_its_number_is_not_given_again(put: Put, releases: Releases) -> None:
    for minor in (1, 2):
        releases.switch(put(minor))
    third = put(3)
    releases.switch(third, 45.0)
    releases.revert("it failed")
    assert releases.prune()[0] == third.name
    again = put(3)
    assert again.number == 4
    assert releases.switch(again, 45.0) is not None


@pytest.mark.parametrize(
    "reason",
    ["RuntimeError: node 3\n  failed to invoke", "x" * 501, "", "caf\udce9"],
    ids=["lines", "long", "none", "bytes"],
)
def test_whatever_the_reason_it_stays_taken_back(
    put: Put, releases: Releases, home: Home, reason: str
) -> None:
    releases.switch(put(1))
    for minor in (2, 3):
        releases.switch(put(minor))
        releases.revert(reason, releases.current().name)  # type: ignore[union-attr]
    assert [bad[:5] for bad in at(home).bad()] == ["0002-", "0003-"]
    with pytest.raises(GateError, match="was taken back"):
        at(home).switch("3")
    assert at(home).journal.entries()[-1].more["reason"] == reason


def test_an_entry_that_cannot_be_read_still_counts(put: Put, releases: Releases, home: Home) -> None:
    first, second = put(1), put(2)
    releases.switch(first)
    for release in (second, put(3)):
        releases.switch(release)
        releases.revert("It died.", release.name)
    text = home.bad.read_text()
    home.bad.write_text(text.replace('"It died."', '"two\\nlines"', 1))
    assert [bad.reason for bad in at(home).bad().values()] == ["the reason cannot be read", "It died."]


@pytest.mark.parametrize(("signers", "letters"), [(8, 20), (2, 200)])
def test_many_signers_with_long_comments(
    releases: Releases, bundles: Path, signers: int, letters: int
) -> None:
    path = bundles / "1.ecgb"
    for _ in range(signers):
        path.write_bytes(sign_bundle(path.read_bytes(), Ed25519PrivateKey.generate(), comment="c" * letters))
    release = releases.create(path, "one", {})
    assert releases.all() == [release]
    assert release.signed_by is not None
    assert release.signed_by.startswith("SHA256:")
    releases.switch(release)
    assert name(releases.current()) == release.name
