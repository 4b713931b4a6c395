"""A tiny bundle, and keys to sign it with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_ecg.bundle import Manifest, TaskSpec, bundle_bytes, sign_bundle

SMALL = {"heads/stress.npz": b"abc", "encoder.fp32.onnx": b"PK\x03\x04", "CARD.md": b"# Card\n"}

MakeKey = Callable[[str], Ed25519PrivateKey]


@pytest.fixture(scope="session")
def make_key() -> MakeKey:
    """``make_key(name)``: the same key for the same name, on every run."""
    return lambda name: Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())


@pytest.fixture(scope="session")
def small_manifest(manifest: Manifest) -> Manifest:
    """One task and one engine, whose files are not read here."""
    tasks = {"stress": TaskSpec(("rest", "stress"), "heads/stress.npz")}
    return replace(manifest, tasks=tasks, engines={"onnx-fp32": "encoder.fp32.onnx"})


@pytest.fixture(scope="session")
def small(small_manifest: Manifest) -> bytes:
    """A bundle of about two thousand bytes."""
    return bundle_bytes(small_manifest, SMALL)


@pytest.fixture(scope="session")
def signed(small: bytes, make_key: MakeKey) -> bytes:
    """The small bundle, signed by ``alice``."""
    return sign_bundle(small, make_key("alice"), comment="alice")
