"""The manifest: what is written is read back, and whatever is wrong is named."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg.bundle import Manifest
from edge_ecg.errors import BundleError

# The document of docs/bundle.md, spelled out here once more on purpose.
EXAMPLE: dict[str, Any] = {
    "schema": 1,
    "name": "stress",
    "version": "1.2.3",
    "created": "2026-01-31T12:00:00Z",
    "minimum_runtime": "0.1.0",
    "input": {
        "fs_hz": 256,
        "window_samples": 2560,
        "unit": "mV",
        "preprocessing": {
            "highpass_hz": 0.8,
            "highpass_order": 2,
            "notch_hz": None,
            "normalisation": "calibrated",
            "trim": 0.025,
        },
    },
    "encoder": {
        "architecture": "sarkar-etemad",
        "parameters": 329152,
        "macs": 336887808,
        "stride": 4,
        "receptive_field_samples": 200,
        "embedding": 384,
        "pooling": "max-mean-std",
        "padding": "valid",
    },
    "tasks": {
        "stress": {
            "labels": ["rest", "stress"],
            "head": "heads/stress.npz",
            "min_confidence": 0.5,
            "features": ["log_heart_rate", "log_sdnn"],
            "personal_head": "heads/stress.personal.npz",
            "personal_features": ["heart_rate_z"],
            "context_s": 30.0,
        }
    },
    "engines": {"litert-int8": "encoder.int8.tflite"},
    "files": {"heads/stress.npz": {"bytes": 3, "sha256": "0" * 64}},
    "training": {"datasets": [{"name": "eegmat", "licence": "ODC-BY"}]},
    "card": {"auc": 0.9},
}


def paths(value: Any, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """All places in the document, except below the two free-form objects."""
    for key, child in value.items():
        yield (*prefix, key)
        if isinstance(child, dict) and key not in ("training", "card"):
            yield from paths(child, (*prefix, key))


def changed(path: tuple[str, ...], value: object) -> dict[str, Any]:
    document = copy.deepcopy(EXAMPLE)
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    if value is ...:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return document


def read(document: object) -> Manifest:
    return Manifest.from_json(document, runtime_version="0.1.0")


def test_reading_and_writing_gives_the_same_document() -> None:
    assert read(EXAMPLE).to_json() == EXAMPLE
    assert json.loads(read(EXAMPLE).encode()) == EXAMPLE


def test_unknown_keys_are_for_newer_minors_and_ignored() -> None:
    assert read(EXAMPLE | {"colour": "blue"}) == read(EXAMPLE)


# What bundles did not say at first, and what they then meant.
LATER = {
    ("encoder", "padding"): "same",
    ("tasks", "stress", "features"): [],
    ("tasks", "stress", "personal_head"): None,
    ("tasks", "stress", "personal_features"): [],
    ("tasks", "stress", "context_s"): 0.0,
}


def test_a_bundle_from_before_a_key_means_what_it_meant_then() -> None:
    for path, meaning in LATER.items():
        assert read(changed(path, ...)).to_json() == changed(path, meaning)


OPTIONAL = {("input", "preprocessing", "notch_hz"), ("training",), ("card",), *LATER}
# An empty list of tasks, engines or files is odd but says what it says.
CONTAINERS = {("tasks", "stress"), ("engines", "litert-int8"), ("files", "heads/stress.npz")}


@pytest.mark.parametrize("path", sorted(set(paths(EXAMPLE)) - OPTIONAL - CONTAINERS))
def test_a_missing_value_is_named(path: tuple[str, ...]) -> None:
    with pytest.raises(BundleError, match=r"is missing") as caught:
        read(changed(path, ...))
    assert ".".join(path) in str(caught.value)


MEANT = [
    (("input", "preprocessing", "notch_hz"), None),
    (("encoder", "padding"), None),
    (("tasks", "stress", "features"), []),
    (("tasks", "stress", "personal_features"), []),
    (("tasks", "stress", "personal_head"), None),
    (("tasks", "stress", "context_s"), None),
]


@pytest.mark.parametrize("path", sorted(paths(EXAMPLE)))
@pytest.mark.parametrize("value", [None, True, [], [1], -1, float("nan")], ids=repr)
def test_a_value_of_another_kind_is_refused(path: tuple[str, ...], value: object) -> None:
    if (path, value) in MEANT:
        return
    with pytest.raises(BundleError):
        read(changed(path, value))


def test_a_feature_stands_once() -> None:
    with pytest.raises(BundleError, match="one feature twice"):
        read(changed(("tasks", "stress", "features"), ["sdnn_ms", "sdnn_ms"]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(paths(EXAMPLE))), JSON)
def test_no_value_raises_anything_but_a_bundle_error(path: tuple[str, ...], value: object) -> None:
    with contextlib.suppress(BundleError):
        read(changed(path, value))


@given(JSON)
def test_no_document_raises_anything_but_a_bundle_error(document: object) -> None:
    with pytest.raises(BundleError):
        read(document)


def test_an_unknown_schema_is_refused_before_anything_else_is_looked_at() -> None:
    with pytest.raises(BundleError, match="schema 2; this edge-ecg knows schema 1") as caught:
        read({"schema": 2})
    assert "upgrade" in caught.value.remedy


@pytest.mark.parametrize("wanted", ["0.1.1", "0.2.0", "1.0.0"])
def test_a_bundle_for_a_newer_runtime_is_refused(wanted: str) -> None:
    with pytest.raises(BundleError, match=rf"made for edge-ecg {wanted} or newer; this is 0.1.0"):
        read(EXAMPLE | {"minimum_runtime": wanted})


@pytest.mark.parametrize("wanted", ["0.0.9", "0.1.0"])
def test_a_bundle_for_an_older_runtime_is_taken(wanted: str) -> None:
    assert read(EXAMPLE | {"minimum_runtime": wanted}).minimum_runtime == wanted


@pytest.mark.parametrize(
    "name", ["../x", "a/../x", "/etc/passwd", "C:/x", "a\\b", "a//b", "./x", ".hidden", "", "a/", "ä", "a\nb"]
)
def test_a_file_name_that_leaves_the_archive_is_refused(name: str) -> None:
    entry = {"bytes": 3, "sha256": "0" * 64}
    with pytest.raises(BundleError, match="leaves the archive"):
        read(EXAMPLE | {"files": {name: entry}})


@pytest.mark.parametrize("labels", [[], ["one"], ["same", "same"]])
def test_labels_must_be_two_or_more_and_different(labels: list[str]) -> None:
    with pytest.raises(BundleError, match="two or more different labels"):
        read(changed(("tasks", "stress", "labels"), labels))
