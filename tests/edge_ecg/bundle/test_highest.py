"""No downgrade: what is older is refused, by version first and by date second."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg.bundle import Manifest
from edge_ecg.bundle.highest import Highest, read_highest, refuse_downgrade, with_highest, write_highest
from edge_ecg.errors import BundleError

# From oldest to newest; dates with and without an offset, and in another zone.
IN_ORDER = [
    ("0.9.9", "2027-01-01T00:00:00Z"),
    ("0.10.0", "2026-01-31T12:00:00Z"),
    ("0.10.0", "2026-01-31T12:00:01"),
    ("0.10.0", "2026-01-31T14:00:02+02:00"),
    ("0.10.0", "2026-01-31T12:00:03+00:00"),
    ("1.0.0", "2020-01-01T00:00:00Z"),
    ("1.0.0", "2020-01-01T00:00:00.5Z"),
    ("10.0.0", "2019-01-01T00:00:00Z"),
]


@pytest.mark.parametrize(("old", "new"), list(itertools.product(range(len(IN_ORDER)), repeat=2)))
def test_only_what_is_older_is_refused(manifest: Manifest, old: int, new: int) -> None:
    highest = {"untrained": Highest(*IN_ORDER[old])}
    wanted = replace(manifest, version=IN_ORDER[new][0], created=IN_ORDER[new][1])
    if new >= old:
        refuse_downgrade(wanted, highest)
        assert with_highest(wanted, highest) == {"untrained": Highest(*IN_ORDER[new])}
    else:
        with pytest.raises(BundleError, match="older than one") as caught:
            refuse_downgrade(wanted, highest)
        assert caught.value.exit_code == 4
        assert "--allow-downgrade" in caught.value.remedy
        assert with_highest(wanted, highest) == highest


def test_each_name_is_judged_by_itself(manifest: Manifest) -> None:
    highest = {"another": Highest("9.0.0", "2099-01-01T00:00:00Z")}
    refuse_downgrade(manifest, highest)
    assert with_highest(manifest, highest) == {
        "another": Highest("9.0.0", "2099-01-01T00:00:00Z"),
        "untrained": Highest("0.0.1", "2026-01-31T12:00:00Z"),
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "newest"},
        {"version": "1.2"},
        {"version": "\u0661.\u0662.\u0663"},
        {"created": "yesterday"},
        {"created": "0001-01-01T00:00:00+23:59"},
    ],
)
def test_what_cannot_be_compared_is_refused(manifest: Manifest, wrong: dict[str, str]) -> None:
    with pytest.raises(BundleError, match="cannot be told"):
        refuse_downgrade(replace(manifest, **wrong), {})


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "highest.json"
    assert read_highest(path) == {}
    for version in ("1.0.0", "1.0.1"):
        highest = {"stress": Highest(version, "2026-01-31T12:00:00Z"), "b": Highest("0.1.0", "2026-01-31")}
        write_highest(path, highest)
        assert read_highest(path) == highest
    assert [item.name for item in tmp_path.iterdir()] == ["highest.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": 2, "models": {}}',
        '{"schema": 1, "models": []}',
        '{"schema": 1, "models": {"a": {"version": "1.0.0"}}}',
        '{"schema": 1, "models": {"a": {"version": "x", "created": "2026-01-31"}}}',
        '{"schema": 1, "models": ' + "[" * 100_000,
        " " * (1024 * 1024 + 1),
    ],
    ids=lambda text: repr(text[:50]),
)
def test_a_damaged_record_is_not_taken_for_an_empty_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "highest.json"
    path.write_text(text)
    with pytest.raises(BundleError, match="cannot be read") as caught:
        read_highest(path)
    assert "Delete that file" in caught.value.remedy


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_as_a_bundle_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("highest") / "highest.json"
    path.write_bytes(data)
    with pytest.raises(BundleError):
        read_highest(path)
