"""Public keys: what ssh-keygen writes is read, and nothing that only looks like it."""

from __future__ import annotations

import base64
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg.bundle.public_key import KeyFormatError, PublicKey, strict_base64

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]


def raw_of(private: Ed25519PrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def line_of(raw: bytes, comment: str = "me") -> str:
    blob = struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", len(raw)) + raw
    return f"ssh-ed25519 {b64(blob)} {comment}"


@given(st.binary(min_size=32, max_size=32), st.sampled_from(["", "me", "release key 2026", "Łukasz@büro"]))
def test_what_is_written_is_read_back(seed: bytes, comment: str) -> None:
    key = PublicKey(raw_of(Ed25519PrivateKey.from_private_bytes(seed)), comment)
    assert PublicKey.parse(key.line) == key
    assert PublicKey.parse(key.line + "\n") == key
    assert PublicKey.parse(key.line + "\r\n") == key
    assert PublicKey.from_blob(key.blob, comment) == key


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed (openssh-client)")
def test_openssh_names_a_key_the_same(tmp_path: Path) -> None:
    for number in range(5):
        file = tmp_path / f"key{number}"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a comment", "-f", file], check=True
        )
        key = PublicKey.parse(Path(f"{file}.pub").read_text())
        told = subprocess.run(["ssh-keygen", "-l", "-f", file], capture_output=True, text=True, check=True)
        assert told.stdout.split()[1] == key.fingerprint
        assert key.comment == "a comment"


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed (openssh-client)")
@pytest.mark.parametrize(("kind", "bits"), [("rsa", "2048"), ("ecdsa", "256")])
def test_other_types_are_named(tmp_path: Path, kind: str, bits: str) -> None:
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-f", file], check=True)
    with pytest.raises(KeyFormatError, match=f"its type is '.*{kind}.*'; only ssh-ed25519"):
        PublicKey.parse(Path(f"{file}.pub").read_text())
    with pytest.raises(KeyFormatError, match="private key"):
        PublicKey.parse(file.read_text())


GOOD = raw_of(Ed25519PrivateKey.from_private_bytes(bytes(32)))
BLOB = PublicKey(GOOD).blob


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not a line"),
        ("ssh-ed25519", "not a line"),
        ("ssh-ed25519 !!!! me", "not base64"),
        (f"ssh-ed25519 {b64(BLOB)}= me", "not base64"),
        (f"ssh-ed25519 {b64(BLOB)[:-1]} me", "not base64"),
        (f"ssh-ed25519 {b64(BLOB)[:10]}\u00e9{b64(BLOB)[11:]} me", "not base64"),
        (f"ssh-ed25519 {b64(BLOB + b'x')} me", "does not hold exactly one"),
        (f"ssh-ed25519 {b64(BLOB[:-1])} me", "does not hold exactly one"),
        (f"ssh-ed25519 {b64(BLOB.replace(b'ed', b'ED'))} me", "does not hold exactly one"),
        (f"SSH-ED25519 {b64(BLOB)} me", "its type is"),
        (f"from=1 ssh-ed25519 {b64(BLOB)} me", "its type is"),
        (f"\x1b[2J {b64(BLOB)} me", "its type is 'unknown'"),
        (f"{line_of(GOOD)}\n{line_of(GOOD)}\n", "more than one line"),
        (f"{line_of(GOOD)}\n\n", "more than one line"),
        (line_of(GOOD, "\x1b[2J"), "comment"),
        (line_of(GOOD, "a\u202eb"), "comment"),
        (line_of(GOOD, "x" * 201), "longer than 200"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "private key"),
    ],
)
def test_what_is_no_key(text: str, why: str) -> None:
    with pytest.raises(KeyFormatError, match=why):
        PublicKey.parse(text)


@given(st.text(max_size=200))
def test_any_text_is_refused_as_a_format_error(text: str) -> None:
    with pytest.raises(KeyFormatError):
        PublicKey.parse(text)


@given(st.integers(0, len(BLOB) * 8 - 1))
def test_a_flipped_bit_is_another_key_or_none(bit: int) -> None:
    blob = bytearray(BLOB)
    blob[bit // 8] ^= 1 << bit % 8
    try:
        key = PublicKey.from_blob(bytes(blob))
    except KeyFormatError:
        return
    assert key.blob == bytes(blob)
    assert key.raw != GOOD


def test_base64_has_one_spelling() -> None:
    # 51 bytes need no padding, so unused bits are tried on a shorter text of the same decoder.
    assert strict_base64("AA==") == b"\0"
    for other in ("AB==", "AP==", "AA=", "AA", "AA==\n", " AA==", "A A=", "AA==AA==", "-_=="):
        with pytest.raises(KeyFormatError):
            strict_base64(other)


# An independent model of the curve: affine Edwards addition (RFC 8032, section 5.1.4, written out plainly).
def add(a: Point, b: Point) -> Point:
    (x1, y1), (x2, y2) = a, b
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P
    return x, y


def times(count: int, point: Point) -> Point:
    total: Point = (0, 1)
    for _ in range(count):
        total = add(total, point)
    return total


def x_of(y: int) -> int | None:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    for candidate in (root, root * pow(2, (P - 1) // 4, P) % P):
        if candidate * candidate % P == square:
            return candidate
    return None


def torsion() -> list[Point]:
    """All eight points of low order: the order of the subgroup times any point, and the multiples of that."""
    order = 2**252 + 27742317777372353535851937790883648493
    y = 2
    while True:
        x = x_of(y)
        y += 1
        if x is None:
            continue
        total: Point = (0, 1)
        step, left = (x, y - 1), order
        while left:
            if left & 1:
                total = add(total, step)
            step, left = add(step, step), left >> 1
        points = [times(count, total) for count in range(8)]
        if len(set(points)) == 8:
            return points


def test_every_point_of_low_order_is_refused() -> None:
    points = torsion()
    assert all(times(8, point) == (0, 1) for point in points)
    for x, y in points:
        raw = (y | (x & 1) << 255).to_bytes(32, "little")
        with pytest.raises(KeyFormatError, match="low order"):
            PublicKey(raw)
        flipped = bytes(raw[:31]) + bytes([raw[31] ^ 0x80])
        with pytest.raises(KeyFormatError, match="low order"):
            PublicKey(flipped)


@pytest.mark.parametrize("excess", range(19))
@pytest.mark.parametrize("sign", [0, 1])
def test_every_encoding_that_is_not_canonical_is_refused(excess: int, sign: int) -> None:
    raw = (P + excess | sign << 255).to_bytes(32, "little")
    with pytest.raises(KeyFormatError, match="canonical"):
        PublicKey(raw)


def test_points_beside_the_curve_are_refused() -> None:
    for y in range(2, 40):
        raw = y.to_bytes(32, "little")
        if x_of(y) is None:
            with pytest.raises(KeyFormatError, match="not a point"):
                PublicKey(raw)
        else:
            assert PublicKey(raw).raw == raw
