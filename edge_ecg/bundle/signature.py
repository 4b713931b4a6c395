"""``manifest.sig``: who signed ``manifest.json``, in a form of which no byte can change unseen.

    edge-ecg signature 1
    ssh-ed25519 KEY SIGNATURE SEAL COMMENT

One line for each of up to eight keys, sorted by key, each key once. ``SIGNATURE`` is Ed25519 (RFC 8032) over
exactly the bytes of ``manifest.json``; ``SEAL`` is Ed25519 by the same key over a fixed text, the signature
and the comment, so that the comment is its signer's and nobody else's. All are base64. A file is accepted
only if writing out what was read gives the same bytes.

The package ``cryptography`` is imported when there is a signature to check or to make, not before.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from .public_key import KEY_TYPE, KeyFormatError, PublicKey, strict_base64

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HEADER = "edge-ecg signature 1"
MAX_SIGNATURES = 8
MAX_BYTES = 16 * 1024
_SIGNATURE_BYTES = 64
# Begins like no JSON document: what is signed as a comment can never pass for a manifest.
_SEALED = b"edge-ecg comment 1\n"


class SignatureError(ValueError):
    """A signature file that is damaged, or not of what it stands beside; the message says which."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One key's signature; ``key.comment`` is the signed comment. Not checked by being made."""

    key: PublicKey
    signature: bytes
    seal: bytes

    @property
    def line(self) -> str:
        """The line of ``manifest.sig``."""
        parts = (self.key.blob, self.signature, self.seal)
        encoded = " ".join(base64.b64encode(part).decode() for part in parts)
        return f"{KEY_TYPE} {encoded} {self.key.comment}".rstrip(" ")

    def holds(self, message: bytes) -> bool:
        """Whether the key signed this message and this comment.

        Raises
        ------
        ImportError
            When the package ``cryptography`` is not installed.

        """
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            public = Ed25519PublicKey.from_public_bytes(self.key.raw)
            public.verify(self.signature, message)
            public.verify(self.seal, _sealed(self.signature, self.key.comment))
        except (InvalidSignature, ValueError):
            return False
        return True

    @classmethod
    def make(cls, private: Ed25519PrivateKey, message: bytes, comment: str = "") -> Self:
        """Sign a message; KeyFormatError when the comment is not printable."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        signature = private.sign(message)
        return cls(PublicKey(raw, comment), signature, private.sign(_sealed(signature, comment)))


def encode_signatures(signatures: Iterable[Signature]) -> bytes:
    """Return the ``manifest.sig`` of these signatures, in the one order."""
    lines = [one.line for one in sorted(signatures, key=lambda one: one.key.raw)]
    return "".join(f"{line}\n" for line in (HEADER, *lines)).encode()


def parse_signatures(data: bytes) -> tuple[Signature, ...]:
    """Read a ``manifest.sig``; nothing is checked yet but its form.

    Raises
    ------
    SignatureError
        When there is any byte that :func:`encode_signatures` would not have written.

    """
    if len(data) > MAX_BYTES:
        raise SignatureError(f"it is larger than {MAX_BYTES} bytes")
    try:
        header, *lines = data.decode().split("\n")
        if header != HEADER:
            raise SignatureError(f"it does not begin with {HEADER!r}")
        signatures = tuple(_parse_line(line) for line in lines[:-1])
    except (UnicodeDecodeError, KeyFormatError) as error:
        raise SignatureError(str(error)) from error
    if not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise SignatureError(f"it holds {len(signatures)} signatures; 1 to {MAX_SIGNATURES} are possible")
    if len({one.key.raw for one in signatures}) != len(signatures):
        raise SignatureError("it holds one key twice")
    if encode_signatures(signatures) != data:
        raise SignatureError("it is not in its one canonical form")
    return signatures


def check_signatures(data: bytes, message: bytes) -> tuple[Signature, ...]:
    """Read a ``manifest.sig`` and check every signature in it.

    Parameters
    ----------
    data:
        The file.
    message:
        The bytes of ``manifest.json``.

    Raises
    ------
    SignatureError
        When it is damaged, or one of its signatures is not of this message by the key beside it.
    ImportError
        When the package ``cryptography`` is not installed.

    """
    signatures = parse_signatures(data)
    for one in signatures:
        if not one.holds(message):
            raise SignatureError(f"the signature by {one.key.fingerprint} is not of this manifest")
    return signatures


def _parse_line(line: str) -> Signature:
    parts = line.split(" ", 4)
    if len(parts) < 4 or parts[0] != KEY_TYPE:
        raise SignatureError(f"a line of it is not `{KEY_TYPE} KEY SIGNATURE SEAL COMMENT`")
    blob, signature, seal = (strict_base64(part) for part in parts[1:4])
    if len(signature) != _SIGNATURE_BYTES or len(seal) != _SIGNATURE_BYTES:
        raise SignatureError(f"a signature in it has not {_SIGNATURE_BYTES} bytes")
    return Signature(PublicKey.from_blob(blob, parts[4] if len(parts) == 5 else ""), signature, seal)


def _sealed(signature: bytes, comment: str) -> bytes:
    return _SEALED + signature + comment.encode()
