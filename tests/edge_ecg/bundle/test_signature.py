"""``manifest.sig``: every byte of it counts, whoever is trusted."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg.bundle import (
    Manifest,
    PublicKey,
    TrustedKey,
    TrustedKeys,
    bundle_bytes,
    read_bundle,
    sign_bundle,
)
from edge_ecg.bundle.archive import pack, unpack
from edge_ecg.bundle.signature import (
    MAX_SIGNATURES,
    Signature,
    SignatureError,
    check_signatures,
    encode_signatures,
    parse_signatures,
)
from edge_ecg.errors import BundleError

MakeKey = Callable[[str], Ed25519PrivateKey]
MESSAGE = b'{"schema": 1}\n'


def public(private: Ed25519PrivateKey, comment: str = "") -> PublicKey:
    return PublicKey(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), comment)


def trusting(*keys: PublicKey) -> TrustedKeys:
    return TrustedKeys(tuple(TrustedKey(key, Path("key.pub")) for key in keys))


@pytest.fixture(scope="module")
def two(make_key: MakeKey) -> bytes:
    """A signature file of two keys, one with a comment."""
    return encode_signatures(
        [
            Signature.make(make_key("alice"), MESSAGE, "alice of büro"),
            Signature.make(make_key("bob"), MESSAGE),
        ]
    )


def test_it_is_what_the_documentation_says(two: bytes, make_key: MakeKey) -> None:
    lines = two.decode().split("\n")
    assert lines[0] == "edge-ecg signature 1"
    assert lines[3:] == [""]
    rows = {line.split(" ", 4)[1]: line.split(" ", 4) for line in lines[1:3]}
    for name, comment in (("alice", ["alice of büro"]), ("bob", [])):
        key = make_key(name)
        row = rows[public(key).line.split()[1]]
        assert row[0] == "ssh-ed25519"
        assert base64.b64decode(row[2]) == key.sign(MESSAGE)
        text = comment[0] if comment else ""
        sealed = b"edge-ecg comment 1\n" + key.sign(MESSAGE) + text.encode()
        assert base64.b64decode(row[3]) == key.sign(sealed)
        assert row[4:] == comment
    assert list(rows) == sorted(rows, key=base64.b64decode)


def test_what_is_written_is_checked(two: bytes, make_key: MakeKey) -> None:
    found = check_signatures(two, MESSAGE)
    assert {one.key for one in found} == {public(make_key("alice"), "alice of büro"), public(make_key("bob"))}


def test_every_bit_of_it_means_something(two: bytes) -> None:
    for bit in range(8 * len(two)):
        broken = bytearray(two)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SignatureError):
            check_signatures(bytes(broken), MESSAGE)


def test_every_bit_of_the_message_too(two: bytes) -> None:
    for bit in range(8 * len(MESSAGE)):
        broken = bytearray(MESSAGE)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SignatureError, match="not of this manifest"):
            check_signatures(two, bytes(broken))


def test_every_prefix_is_refused(two: bytes) -> None:
    # All but one: what is left when the whole second line goes is the signature of the first alone.
    whole_lines = two.rindex(b"\n", 0, -1) + 1
    for length in range(len(two)):
        if length == whole_lines:
            assert len(check_signatures(two[:length], MESSAGE)) == 1
            continue
        with pytest.raises(SignatureError):
            check_signatures(two[:length], MESSAGE)


def test_other_spellings_of_the_same_are_refused(two: bytes) -> None:
    header, first, second, _ = two.decode().split("\n")
    others = [
        "\n".join([header, second, first, ""]),
        "\n".join([header, first, first, ""]),
        "\n".join([header, first, first, second, ""]),
        "\n".join([header, first, second]),
        "\n".join([header, first, second, "", ""]),
        "\n".join([header, ""]),
        "\r\n".join([header, first, second, ""]),
        "\n".join([header, first.replace(" ", "  ", 1), second, ""]),
        "\n".join([header, first + " ", second, ""]),
        "\n".join([header, first, second + " ", ""]),
        "\n".join([header + " ", first, second, ""]),
        "\ufeff" + two.decode(),
    ]
    for other in others:
        with pytest.raises(SignatureError):
            check_signatures(other.encode(), MESSAGE)


def test_a_comment_is_its_signers_own(two: bytes, make_key: MakeKey) -> None:
    for comment in ("mallory", "alice of buro", ""):
        forged = [
            replace(one, key=PublicKey(one.key.raw, comment)) if one.key.comment else one
            for one in parse_signatures(two)
        ]
        with pytest.raises(SignatureError, match="not of this manifest"):
            check_signatures(encode_signatures(forged), MESSAGE)


def test_a_seal_is_no_signature_and_a_signature_no_seal(make_key: MakeKey) -> None:
    made = Signature.make(make_key("alice"), MESSAGE, "a")
    for wrong in (
        replace(made, signature=made.seal),
        replace(made, seal=made.signature),
        replace(made, signature=made.seal, seal=made.signature),
    ):
        with pytest.raises(SignatureError):
            check_signatures(encode_signatures([wrong]), MESSAGE)
        with pytest.raises(SignatureError):
            check_signatures(encode_signatures([wrong]), b"edge-ecg comment 1\n" + made.signature + b"a")


def test_the_other_s_of_a_signature_is_refused(make_key: MakeKey) -> None:
    # S and S + L satisfy the same equation; RFC 8032 demands the smaller one.
    order = 2**252 + 27742317777372353535851937790883648493
    made = Signature.make(make_key("alice"), MESSAGE)
    s = int.from_bytes(made.signature[32:], "little") + order
    wrong = replace(made, signature=made.signature[:32] + s.to_bytes(32, "little"))
    with pytest.raises(SignatureError):
        check_signatures(encode_signatures([wrong]), MESSAGE)


def test_no_more_than_eight(make_key: MakeKey) -> None:
    many = [Signature.make(make_key(str(number)), MESSAGE) for number in range(MAX_SIGNATURES + 1)]
    assert len(check_signatures(encode_signatures(many[:-1]), MESSAGE)) == MAX_SIGNATURES
    with pytest.raises(SignatureError, match="9 signatures"):
        check_signatures(encode_signatures(many), MESSAGE)


@given(st.binary(max_size=500))
def test_any_bytes_are_refused_as_a_signature_error(data: bytes) -> None:
    for text in (data, b"edge-ecg signature 1\n" + data, b"edge-ecg signature 1\nssh-ed25519 " + data):
        with pytest.raises(SignatureError):
            check_signatures(text, MESSAGE)


def test_a_large_one_is_not_looked_at() -> None:
    with pytest.raises(SignatureError, match="larger than"):
        check_signatures(b"edge-ecg signature 1\n" + b"x" * 2**20, MESSAGE)


def test_a_signed_bundle_is_the_same_bundle(small: bytes, signed: bytes, make_key: MakeKey) -> None:
    before, after = read_bundle(io.BytesIO(small)), read_bundle(io.BytesIO(signed))
    assert after.name_at_sha == before.name_at_sha
    assert after.contents == before.contents
    assert before.signers == ()
    assert after.signers == (public(make_key("alice"), "alice"),)
    assert after.trusted_by == ()
    entries = unpack(signed)
    assert [name for name, _ in entries[:2]] == ["manifest.json", "manifest.sig"]
    assert pack([entries[0], *entries[2:]]) == small
    check_signatures(entries[1][1], entries[0][1])


def test_signing_again_changes_nothing(signed: bytes, make_key: MakeKey) -> None:
    assert sign_bundle(signed, make_key("alice"), comment="alice") == signed
    other = sign_bundle(signed, make_key("alice"), comment="another name")
    assert read_bundle(io.BytesIO(other)).signers == (public(make_key("alice"), "another name"),)


def test_keys_rotate(signed: bytes, make_key: MakeKey) -> None:
    both = sign_bundle(signed, make_key("bob"), comment="bob")
    alice, bob, carol = (public(make_key(name), name) for name in ("alice", "bob", "carol"))
    assert set(read_bundle(io.BytesIO(both)).signers) == {alice, bob}
    for trusted, by in (
        ((alice,), {alice}),
        ((bob,), {bob}),
        ((carol, bob), {bob}),
        ((bob, alice), {alice, bob}),
    ):
        assert set(read_bundle(io.BytesIO(both), trust=trusting(*trusted)).trusted_by) == by
    with pytest.raises(BundleError, match="does not trust") as caught:
        read_bundle(io.BytesIO(both), trust=trusting(carol))
    assert alice.fingerprint in caught.value.why
    assert "(bob)" in caught.value.why
    alone = sign_bundle(both, make_key("carol"), comment="carol", replace=True)
    assert read_bundle(io.BytesIO(alone)).signers == (carol,)


def test_a_key_is_trusted_by_its_bytes_and_not_by_its_comment(signed: bytes, make_key: MakeKey) -> None:
    renamed = public(make_key("alice"), "somebody else")
    bundle = read_bundle(io.BytesIO(signed), trust=trusting(renamed))
    assert bundle.trusted_by == (public(make_key("alice"), "alice"),)
    with pytest.raises(BundleError):
        read_bundle(io.BytesIO(signed), trust=trusting(public(make_key("mallory"), "alice")))


def test_unsigned_is_read_only_where_nobody_is_trusted(small: bytes, make_key: MakeKey) -> None:
    assert read_bundle(io.BytesIO(small), trust=TrustedKeys()).signers == ()
    with pytest.raises(BundleError, match="not signed") as caught:
        read_bundle(io.BytesIO(small), trust=trusting(public(make_key("alice"))))
    assert caught.value.exit_code == 4


def test_a_signature_of_another_bundle_is_refused(
    small_manifest: Manifest, signed: bytes, make_key: MakeKey
) -> None:
    signature = dict(unpack(signed))["manifest.sig"]
    other = bundle_bytes(
        replace(small_manifest, version="9.9.9"), dict(read_bundle(io.BytesIO(signed)).contents)
    )
    entries = unpack(other)
    swapped = pack([entries[0], ("manifest.sig", signature), *entries[1:]])
    with pytest.raises(BundleError, match="is not right") as caught:
        read_bundle(io.BytesIO(swapped))
    assert "--replace" in caught.value.remedy
    again = sign_bundle(swapped, make_key("bob"), replace=True)
    assert read_bundle(io.BytesIO(again)).manifest.version == "9.9.9"
    with pytest.raises(BundleError, match="is not right"):
        sign_bundle(swapped, make_key("bob"))


def test_nothing_is_parsed_before_its_signer_is_trusted(make_key: MakeKey) -> None:
    hostile = b"[" * 100_000
    mallory = encode_signatures([Signature.make(make_key("mallory"), hostile)])
    for entries, why in (
        ([("manifest.json", hostile)], "not signed"),
        ([("manifest.json", hostile), ("manifest.sig", mallory)], "does not trust"),
    ):
        with pytest.raises(BundleError, match=why):
            read_bundle(io.BytesIO(pack(entries)), trust=trusting(public(make_key("alice"))))


def test_a_bundle_with_all_signatures_that_it_can_have(small: bytes, make_key: MakeKey) -> None:
    data = small
    for number in range(MAX_SIGNATURES):
        data = sign_bundle(data, make_key(str(number)))
    assert len(read_bundle(io.BytesIO(data)).signers) == MAX_SIGNATURES
    assert sign_bundle(data, make_key("0")) == data
    with pytest.raises(BundleError, match="8 signatures already"):
        sign_bundle(data, make_key("one more"))


def test_a_comment_that_cannot_be_printed(small: bytes, make_key: MakeKey) -> None:
    with pytest.raises(BundleError, match="cannot be signed"):
        sign_bundle(small, make_key("alice"), comment="a\nb")


_CHILD = """
import io, json, sys
from edge_ecg.bundle import read_bundle
for data in (open(path, "rb").read() for path in sys.argv[1:]):
    read_bundle(io.BytesIO(data))
    print(json.dumps(sorted(name for name in sys.modules if name.split(".")[0] == "cryptography") != []))
"""


def test_cryptography_is_imported_for_a_signature_only(
    tmp_path_factory: pytest.TempPathFactory, small: bytes, signed: bytes
) -> None:
    folder = tmp_path_factory.mktemp("lazy")
    (folder / "small.ecgb").write_bytes(small)
    (folder / "signed.ecgb").write_bytes(signed)
    command = [sys.executable, "-c", _CHILD, str(folder / "small.ecgb"), str(folder / "signed.ecgb")]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert [json.loads(line) for line in told.stdout.splitlines()] == [False, True]


def test_without_cryptography_a_signed_bundle_is_refused(
    monkeypatch: pytest.MonkeyPatch, small: bytes, signed: bytes
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)
    read_bundle(io.BytesIO(small))
    with pytest.raises(BundleError, match="cannot be checked here") as caught:
        read_bundle(io.BytesIO(signed))
    assert caught.value.remedy == "pip install cryptography"
