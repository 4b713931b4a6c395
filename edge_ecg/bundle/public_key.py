"""Ed25519 public keys in OpenSSH's form: ``ssh-ed25519 AAAA... comment``.

A key blob is the string ``ssh-ed25519`` and the 32 bytes of the key, each behind its length (RFC 8709 section
4); the fingerprint is the SHA-256 of the blob in base64 without padding, as ``ssh-keygen -l`` prints it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from dataclasses import dataclass
from typing import Self

KEY_TYPE = "ssh-ed25519"
KEY_BYTES = 32
MAX_COMMENT = 200

_PREFIX = struct.pack(">I", len(KEY_TYPE)) + KEY_TYPE.encode() + struct.pack(">I", KEY_BYTES)
_LINE = re.compile(r"(\S+)[ \t]+(\S+)(?:[ \t]+(.*?))?[ \t]*\r?\n?", re.DOTALL)

_P = 2**255 - 19
_SIGN_BIT = 1 << 255
# The y of all points whose order divides 8. For such a "key" anybody can make signatures that verify.
_Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_LOW_ORDER_Y = frozenset({0, 1, _P - 1, _Y_OF_ORDER_8, _P - _Y_OF_ORDER_8})


class KeyFormatError(ValueError):
    """A text that is no Ed25519 public key; the message says why not."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key and what its owner calls it.

    Attributes
    ----------
    raw:
        The 32 bytes of RFC 8032.
    comment:
        Printable text, or empty.

    Raises
    ------
    KeyFormatError
        When the bytes are no key that a signature may be believed from, or the comment is not printable.

    """

    raw: bytes
    comment: str = ""

    def __post_init__(self) -> None:
        _check_raw(self.raw)
        check_comment(self.comment)

    @property
    def blob(self) -> bytes:
        """The key in SSH's wire format."""
        return _PREFIX + self.raw

    @property
    def fingerprint(self) -> str:
        """``SHA256:...``, the name by which people compare keys."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def line(self) -> str:
        """The one line of a ``.pub`` file, without its end."""
        return f"{KEY_TYPE} {base64.b64encode(self.blob).decode()} {self.comment}".rstrip()

    def __str__(self) -> str:
        return f"{self.fingerprint} ({self.comment})" if self.comment else self.fingerprint

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the one line of a ``.pub`` file.

        Raises
        ------
        KeyFormatError
            When it is anything else; other types of key are named.

        """
        if "PRIVATE KEY" in text:
            raise KeyFormatError("it is a private key; the public one lies beside it and ends in .pub")
        match = _LINE.fullmatch(text)
        if match is None:
            raise KeyFormatError("it is not a line such as `ssh-ed25519 AAAA... comment`")
        kind, encoded, comment = match.groups()
        if kind != KEY_TYPE:
            shown = kind if kind.isprintable() and len(kind) <= 60 else "unknown"
            raise KeyFormatError(f"its type is {shown!r}; only {KEY_TYPE} keys sign bundles")
        if "\n" in (comment or ""):
            raise KeyFormatError("it holds more than one line; one file is for one key")
        return cls.from_blob(strict_base64(encoded), comment or "")

    @classmethod
    def from_blob(cls, blob: bytes, comment: str = "") -> Self:
        """Return the key of a blob in SSH's wire format; KeyFormatError when it is anything else."""
        if len(blob) != len(_PREFIX) + KEY_BYTES or not blob.startswith(_PREFIX):
            raise KeyFormatError(f"it does not hold exactly one {KEY_TYPE} key")
        return cls(blob[len(_PREFIX) :], comment)


def strict_base64(text: str) -> bytes:
    """Decode base64 of which only one spelling is accepted; KeyFormatError for any other."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeyFormatError("it is not base64") from error
    if base64.b64encode(data).decode() != text:
        raise KeyFormatError("it is not base64 in its one canonical form")
    return data


def check_comment(comment: str) -> None:
    """Raise KeyFormatError unless a comment can be shown on a screen as it is."""
    if len(comment) > MAX_COMMENT:
        raise KeyFormatError(f"its comment is longer than {MAX_COMMENT} characters")
    # isprintable() excludes line ends, escape sequences and marks that reverse the direction of writing.
    if not comment.isprintable() or comment != comment.strip():
        raise KeyFormatError("its comment holds what cannot be printed, or begins or ends with a space")


def _check_raw(raw: bytes) -> None:
    if len(raw) != KEY_BYTES:
        raise KeyFormatError(f"an Ed25519 key has {KEY_BYTES} bytes, not {len(raw)}")
    y = int.from_bytes(raw, "little") & (_SIGN_BIT - 1)
    if y >= _P:
        raise KeyFormatError("it is not an Ed25519 key in its one canonical form")
    if y in _LOW_ORDER_Y:
        raise KeyFormatError("it is a point of low order, for which anybody can sign")
    if not _is_on_curve(y):
        raise KeyFormatError("it is not a point of the curve Ed25519")


def _is_on_curve(y: int) -> bool:
    """Whether x^2 = (y^2 - 1) / (d y^2 + 1) has a root (RFC 8032 section 5.1.3), by Euler's criterion."""
    d = -121665 * pow(121666, -1, _P) % _P
    square = (y * y - 1) * pow(d * y * y + 1, -1, _P) % _P
    return pow(square, (_P - 1) // 2, _P) == 1
