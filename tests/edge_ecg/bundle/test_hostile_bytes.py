"""Damage and forgery, bit by bit: by accident, and by somebody who repairs every checksum."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg.bundle import Manifest, TrustedKey, TrustedKeys, bundle_bytes, read_bundle, sign_bundle
from edge_ecg.bundle.archive import Entry, pack, unpack
from edge_ecg.bundle.private_key import public_of
from edge_ecg.errors import BundleError

MakeKey = Callable[[str], Ed25519PrivateKey]
NOBODY = TrustedKeys()


@pytest.fixture(scope="module")
def alice(make_key: MakeKey) -> TrustedKeys:
    """A machine that trusts alice alone."""
    return TrustedKeys((TrustedKey(public_of(make_key("alice")), Path("alice.pub")),))


@pytest.fixture(scope="module")
def other(small_manifest: Manifest, make_key: MakeKey) -> bytes:
    """Another bundle of alice's, with the same names and sizes."""
    files = {"heads/stress.npz": b"xyz", "encoder.fp32.onnx": b"PK\x05\x06", "CARD.md": b"# Cart\n"}
    changed = replace(small_manifest, created="2026-01-31T12:00:01Z")
    return sign_bundle(bundle_bytes(changed, files), make_key("alice"), comment="alice")


def is_read(data: bytes, trust: TrustedKeys) -> bool:
    try:
        read_bundle(io.BytesIO(data), trust=trust)
    except BundleError:
        return False
    return True


def flipped(data: bytes) -> Iterator[bytes]:
    """Every version of it in which one bit differs."""
    for bit in range(8 * len(data)):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        yield bytes(broken)


def test_every_bit_of_a_signed_bundle(signed: bytes) -> None:
    assert is_read(signed, NOBODY)
    assert sum(is_read(broken, NOBODY) for broken in flipped(signed)) == 0


def test_every_length_of_a_signed_bundle(signed: bytes) -> None:
    assert not any(is_read(signed[:length], NOBODY) for length in range(len(signed)))
    assert not any(is_read(signed[length:], NOBODY) for length in range(1, len(signed)))
    assert not any(is_read(signed + more, NOBODY) for more in (b"\0", b"PK\x05\x06", signed))


def test_every_byte_lost_or_doubled(signed: bytes) -> None:
    # Losing one of two equal neighbours is the same as losing the other; each is a length that differs.
    for at in range(len(signed)):
        assert not is_read(signed[:at] + signed[at + 1 :], NOBODY)
        assert not is_read(signed[:at] + signed[at : at + 1] + signed[at:], NOBODY)


def test_every_byte_of_every_member_behind_right_checksums(signed: bytes) -> None:
    entries = unpack(signed)
    for index, (name, content) in enumerate(entries):
        for at in range(len(content)):
            for bit in (at % 8, (at + 3) % 8):
                broken = bytearray(content)
                broken[at] ^= 1 << bit
                changed = [*entries[:index], (name, bytes(broken)), *entries[index + 1 :]]
                assert not is_read(pack(changed), NOBODY), (name, at, bit)


@pytest.mark.slow
def test_every_bit_of_every_member_behind_right_checksums(signed: bytes) -> None:
    entries = unpack(signed)
    for index, (name, content) in enumerate(entries):
        for broken in flipped(content):
            changed = [*entries[:index], (name, broken), *entries[index + 1 :]]
            assert not is_read(pack(changed), NOBODY), name


def test_every_length_of_every_member_behind_right_checksums(signed: bytes) -> None:
    entries = unpack(signed)
    for index, (name, content) in enumerate(entries):
        for length in range(len(content)):
            changed = [*entries[:index], (name, content[:length]), *entries[index + 1 :]]
            assert not is_read(pack(changed), NOBODY), (name, length)
        changed = [*entries[:index], (name, content + b"\n"), *entries[index + 1 :]]
        assert not is_read(pack(changed), NOBODY), name


def test_every_file_swapped_for_another_bundle_s(signed: bytes, other: bytes, alice: TrustedKeys) -> None:
    mine, theirs = unpack(signed), unpack(other)
    assert [name for name, _ in mine] == [name for name, _ in theirs]
    assert all(a != b for a, b in zip(mine, theirs, strict=True))
    read = [
        choice
        for choice in itertools.product((0, 1), repeat=len(mine))
        if is_read(
            pack([pair[one] for pair, one in zip(zip(mine, theirs, strict=True), choice, strict=True)]),
            NOBODY,
        )
    ]
    assert read == [(0,) * len(mine), (1,) * len(mine)]
    # And every content under every other name.
    for first, second in itertools.permutations(range(len(mine)), 2):
        swapped = list(mine)
        swapped[first], swapped[second] = (mine[first][0], mine[second][1]), (mine[second][0], mine[first][1])
        assert not is_read(pack(swapped), NOBODY)
    assert is_read(signed, alice)
    assert is_read(other, alice)


def test_every_order_of_the_members(signed: bytes) -> None:
    entries = unpack(signed)
    read = [order for order in itertools.permutations(entries) if is_read(pack(order), NOBODY)]
    assert read == [tuple(entries)]


def test_every_member_removed(signed: bytes, small: bytes, alice: TrustedKeys) -> None:
    entries = unpack(signed)
    for kept in itertools.product((False, True), repeat=len(entries)):
        chosen = [entry for entry, keep in zip(entries, kept, strict=True) if keep]
        data = pack(chosen)
        # Without its signature alone it is the unsigned bundle, which a machine that trusts nobody reads.
        assert is_read(data, NOBODY) == (data in (signed, small))
        assert is_read(data, alice) == (data == signed)


def test_every_member_twice(signed: bytes) -> None:
    entries = unpack(signed)
    for entry, at in itertools.product(entries, range(len(entries) + 1)):
        assert not is_read(pack([*entries[:at], entry, *entries[at:]]), NOBODY)
        assert not is_read(pack([*entries[:at], (entry[0], b""), *entries[at:]]), NOBODY)


HARMLESS = ["{0}.", "-", "more.bin", "a/b.c"]
LEAVING = [
    "./{0}", "../{0}", "/{0}", "{0}/", "a/../{0}", "a//{0}", "//host/{0}", "~/{0}", ".{0}", "a/.", "a/..",
    "", ".", "..", "...", "C:{0}", "C:\\{0}", "{0}\\..", "\\\\host\\{0}", "{0}:stream", "{0}%2e%2e",
    "{0} ", " {0}", "{0}\0", "{0}\0.txt", "{0}\n", "{0}\x1b[2J", "{0}\x7f", "a" * 201, "a/" * 100 + "a",
]  # fmt: skip


def test_every_member_renamed_or_added(signed: bytes) -> None:
    entries = unpack(signed)
    for index, (name, content) in enumerate(entries):
        for new in (form.format(name) for form in (*LEAVING, *HARMLESS)):
            assert not is_read(pack([*entries[:index], (new, content), *entries[index + 1 :]]), NOBODY), new
            for at in range(len(entries) + 1):
                assert not is_read(pack([*entries[:at], (new, content), *entries[at:]]), NOBODY), new


def test_names_that_the_manifest_agrees_to(small_manifest: Manifest) -> None:
    """Whoever makes a bundle chooses its names; the writer would write them, were they not refused."""
    files = {"heads/stress.npz": b"abc", "encoder.fp32.onnx": b"PK\x03\x04"}
    for form in HARMLESS:
        name = form.format("CARD.md")
        read = read_bundle(io.BytesIO(bundle_bytes(small_manifest, files | {name: b"x"})))
        assert read.read(name) == b"x"
    for form in LEAVING:
        with pytest.raises(BundleError, match="leaves the archive"):
            bundle_bytes(small_manifest, files | {form.format("CARD.md"): b"x"})
    for letter in "\u00fc\u2024\u2215\uff0f\u202e\U0001f600":  # other dots and slashes among them
        with pytest.raises(BundleError, match="must be ASCII"):
            bundle_bytes(small_manifest, files | {f"a{letter}b": b"x"})


@given(data=st.data())
def test_any_mutation_of_a_signed_bundle(
    signed: bytes, other: bytes, alice: TrustedKeys, data: st.DataObject
) -> None:
    """Random cuts, copies, and overwritten bytes, within and between two signed bundles."""
    broken = signed
    for _ in range(data.draw(st.integers(1, 4))):
        first = data.draw(st.integers(0, len(broken)))
        last = data.draw(st.integers(first, min(len(broken), first + 400)))
        source = data.draw(st.sampled_from([signed, other, broken, b"\0" * 64, b"\xff" * 64]))
        start = data.draw(st.integers(0, len(source)))
        broken = (
            broken[:first]
            + source[start : data.draw(st.integers(start, min(len(source), start + 400)))]
            + broken[last:]
        )
    accepted = is_read(broken, alice)
    assert accepted == is_read(broken, NOBODY)
    assert accepted == (broken in (signed, other))


ANY_ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["manifest.json", "manifest.sig", "CARD.md", "heads/stress.npz", "../x", "/x", "a"]),
        st.binary(max_size=60),
    ),
    min_size=1,
    max_size=6,
)


@given(ANY_ENTRIES)
def test_any_entries(entries: list[Entry]) -> None:
    assert not is_read(pack(entries), NOBODY)
