"""Ed25519 private keys in OpenSSH's file format: made here, or the one that a person has already.

The format is OpenSSH's PROTOCOL.key: its header says in the clear which key it is and whether it is
encrypted, so a wrong type of key is refused, and a passphrase asked for, before anything is decrypted.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from .public_key import KEY_TYPE, KeyFormatError, PublicKey, strict_base64

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_BEGIN, _END = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"
_MAX_BYTES = 64 * 1024
_NOT_OPENSSH = "ssh-keygen -p -f FILE turns other files of private keys into OpenSSH's."
_NEW_KEY = "Make one for bundles: edge-ecg keygen -o NAME"


@dataclass(frozen=True, slots=True)
class _Header:
    encrypted: bool
    public_blob: bytes


def write_key_pair(path: str | os.PathLike[str], *, comment: str, passphrase: bytes = b"") -> PublicKey:
    """Make a key; write it to ``path`` (mode 0600) and its public half to ``path`` with ``.pub`` behind.

    Parameters
    ----------
    path:
        Neither file may exist.
    comment:
        What the public key is called; it becomes the comment of signatures.
    passphrase:
        Encrypts the private key (bcrypt and AES-256-CTR, as ssh-keygen does); empty for none.

    Raises
    ------
    UsageError
        When a file exists or cannot be written, the comment is not printable, or the package ``bcrypt`` is
        wanted and missing.

    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    try:
        public = public_of(private, comment)
    except KeyFormatError as error:
        raise UsageError("The comment of the key cannot be used.", why=f"{error}.") from error
    encoded = _encode(private, passphrase)
    target = Path(path)
    beside = target.with_name(target.name + ".pub")
    for taken in (target, beside):
        if os.path.lexists(taken):
            raise UsageError(
                f"{taken} exists; a key is never overwritten.", remedy="Give another name with -o."
            )
    try:
        _write_new(target, encoded, 0o600)
        try:
            _write_new(beside, f"{public.line}\n".encode(), 0o644)
        except OSError:
            target.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(
            f"The key {error.filename or target} cannot be written.", why=f"{error.strerror or error}."
        ) from error
    return public


def load_private_key(
    path: str | os.PathLike[str], ask_passphrase: Callable[[PublicKey], bytes | None]
) -> Ed25519PrivateKey:
    """Read an Ed25519 key from a file in OpenSSH's format.

    Parameters
    ----------
    path:
        The private key; only its owner may be able to read it.
    ask_passphrase:
        Called when it is encrypted, with the public key; returns None when there is nobody to ask.

    Raises
    ------
    UsageError
        When it cannot be read, others may read it, it is no Ed25519 key, the passphrase is missing or wrong,
        or the package ``bcrypt`` is needed and missing.

    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    data = _read(path)
    header = _header(path, data)
    public = _public(path, header.public_blob)
    passphrase = ask_passphrase(public) if header.encrypted else None
    if header.encrypted and not passphrase:
        raise UsageError(
            f"The key {os.fspath(path)} is encrypted, and there is no passphrase.",
            remedy="Run it in a terminal, or give --passphrase-file FILE or EDGE_ECG_KEY_PASSPHRASE.",
        )
    try:
        private = load_ssh_private_key(data, passphrase)
    except UnsupportedAlgorithm as error:
        raise _needs_bcrypt(path) from error
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"The passphrase of the key {os.fspath(path)} is wrong."
            if header.encrypted
            else f"The key {os.fspath(path)} is damaged.",
            why=f"{error}.",
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise UsageError(f"The key {os.fspath(path)} is not an Ed25519 key.", remedy=_NEW_KEY)
    return private


def public_of(private: Ed25519PrivateKey, comment: str = "") -> PublicKey:
    """Return the public half of a key."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return PublicKey(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), comment)


def comment_beside(path: str | os.PathLike[str], public: PublicKey) -> str:
    """Return the comment in the ``.pub`` beside a private key; empty when there is none of this key."""
    try:
        with open(f"{os.fspath(path)}.pub", "rb") as file:
            found = PublicKey.parse(file.read(_MAX_BYTES).decode())
    except (OSError, UnicodeDecodeError, KeyFormatError):
        return ""
    return found.comment if found.raw == public.raw else ""


def _encode(private: Ed25519PrivateKey, passphrase: bytes) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    try:
        return private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, encryption)
    except UnsupportedAlgorithm as error:
        raise _needs_bcrypt() from error


def _needs_bcrypt(path: str | os.PathLike[str] | None = None) -> UsageError:
    what = "A passphrase" if path is None else f"The passphrase of the key {os.fspath(path)}"
    return UsageError(f"{what} needs the Python package bcrypt.", remedy="pip install 'edge-ecg[sign]'")


def _write_new(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        # Half a key is none, and would stand in the way of the next attempt.
        path.unlink(missing_ok=True)
        raise


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_MAX_BYTES)
    except OSError as error:
        raise UsageError(
            f"The key {os.fspath(path)} cannot be read.",
            why=f"{error.strerror or error}.",
            remedy="edge-ecg keygen -o NAME makes one.",
        ) from error
    private = not data.startswith((b"ssh-", b"ecdsa-", b"sk-"))  # a public key's mode is no matter
    if private and os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(
            f"Other users may read the private key {os.fspath(path)} (mode {stat.S_IMODE(mode):04o}).",
            remedy=f"chmod 600 {os.fspath(path)}",
        )
    return data


def _header(path: str | os.PathLike[str], data: bytes) -> _Header:
    text = data.decode("ascii", errors="replace").strip()
    if not text.startswith(_BEGIN) or not text.endswith(_END):
        if text.startswith(("ssh-", "ecdsa-", "sk-")):
            raise UsageError(f"{os.fspath(path)} is a public key.", remedy="Give the file without .pub.")
        raise UsageError(
            f"{os.fspath(path)} is not a private key in OpenSSH's format.",
            remedy=f"{_NEW_KEY}. {_NOT_OPENSSH}",
        )
    try:
        body = strict_base64("".join(text[len(_BEGIN) : -len(_END)].split()))
        if not body.startswith(_MAGIC):
            raise KeyFormatError("its magic number is missing")
        at = len(_MAGIC)
        cipher, at = _string(body, at)
        _, at = _string(body, at)
        _, at = _string(body, at)
        if body[at : at + 4] != b"\0\0\0\1":
            raise KeyFormatError("it does not hold exactly one key")
        blob, _ = _string(body, at + 4)
    except KeyFormatError as error:
        raise UsageError(f"The key {os.fspath(path)} is damaged.", why=f"{error}.") from error
    return _Header(cipher != b"none", blob)


def _public(path: str | os.PathLike[str], blob: bytes) -> PublicKey:
    try:
        kind, _ = _string(blob, 0)
        if kind != KEY_TYPE.encode():
            shown = kind[:60].decode("ascii", errors="replace")
            hardware = shown.startswith("sk-")
            raise UsageError(
                f"The key {os.fspath(path)} is of type {shown!r}; bundles are signed with {KEY_TYPE} keys.",
                why="A security key signs more than the bytes that it is given." if hardware else "",
                remedy=_NEW_KEY,
            )
        return PublicKey.from_blob(blob)
    except KeyFormatError as error:
        raise UsageError(f"The key {os.fspath(path)} is damaged.", why=f"{error}.") from error


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    if at + 4 > len(data):
        raise KeyFormatError("it is cut short")
    (length,) = struct.unpack_from(">I", data, at)
    end = at + 4 + length
    if end > len(data):
        raise KeyFormatError("it is cut short")
    return data[at + 4 : end], end
