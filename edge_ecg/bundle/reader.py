"""Reading a bundle: nothing of it is believed before every byte has been checked."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .._version import __version__
from ..errors import BundleError
from .archive import ArchiveError, Entry, unpack
from .fields import is_safe_name
from .manifest import MANIFEST_NAME, SIGNATURE_NAME, Manifest
from .public_key import PublicKey
from .signature import SignatureError, check_signatures
from .trust import TrustedKeys
from .untrusted_json import JsonError, parse_json

# A hundred times the size of a real bundle; a device must not run out of memory because of a wrong path.
MAX_BYTES = 128 * 1024 * 1024
_STEP_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Bundle:
    """A checked bundle in memory.

    Attributes
    ----------
    source:
        The path it came from, for messages.
    manifest:
        The parsed manifest.
    manifest_sha256:
        SHA-256 of ``manifest.json`` in hexadecimal: it names the bundle, since all other hashes stand in it.
    contents:
        Bytes of each file that the manifest names.
    signature:
        ``manifest.sig`` as it is; None when the bundle is unsigned.
    signers:
        Who signed it, each signature checked; their comments are signed too. Empty when it is unsigned.
    trusted_by:
        Those of them whom the reader was told to trust.

    """

    source: str
    manifest: Manifest
    manifest_sha256: str
    contents: Mapping[str, bytes]
    signature: bytes | None = None
    signers: tuple[PublicKey, ...] = ()
    trusted_by: tuple[PublicKey, ...] = ()

    @property
    def name_at_sha(self) -> str:
        """``NAME@SHA12``: the name and the first 12 hexadecimal digits of the manifest's hash."""
        return f"{self.manifest.name}@{self.manifest_sha256[:12]}"

    def read(self, name: str) -> bytes:
        """Return the bytes of one file.

        Raises
        ------
        BundleError
            When the manifest names no such file.

        """
        if name not in self.contents:
            raise BundleError(f"The bundle {self.source} holds no file {name!r}.")
        return self.contents[name]

    def open(self, name: str) -> IO[bytes]:
        """Return one file as a binary stream."""
        return io.BytesIO(self.read(name))


def read_bundle(source: str | os.PathLike[str] | IO[bytes], *, trust: TrustedKeys | None = None) -> Bundle:
    """Read and check a bundle from a path or a binary stream.

    Parameters
    ----------
    source:
        An ``.ecgb`` file or a stream of one.
    trust:
        The keys of which one must have signed it; None for those of this machine. ``TrustedKeys()``, without
        any key, reads unsigned and foreign bundles too; a signature that is not right is refused even then.

    Raises
    ------
    BundleError
        When the file cannot be read, is damaged or cut short, holds a file that is not named, lacks one that
        is, has a hash that differs, a path that leaves the archive, an unknown schema, was made for a newer
        runtime, or carries a bad signature; when keys are trusted and none of them signed it; when the
        trusted keys of this machine cannot be read.

    """
    keys = TrustedKeys.of_machine() if trust is None else trust
    label, data = load_bytes(source)
    try:
        entries = _entries(unpack(data))
    except ArchiveError as error:
        raise BundleError(
            f"{label} is not an intact model bundle.",
            why=f"{str(error)[0].upper()}{str(error)[1:]}.",
            remedy="Copy or download it again, or export it anew with `edge-ecg export`.",
        ) from error
    encoded = entries.pop(MANIFEST_NAME)
    signature = entries.pop(SIGNATURE_NAME, None)
    # Before anything of it is interpreted: where keys are trusted, only what their owners made is parsed.
    signers = () if signature is None else _signers(label, signature, encoded)
    trusted_by = tuple(key for key in signers if key in keys)
    if keys.keys and not trusted_by:
        raise untrusted_error(label, signers)
    manifest = Manifest.from_json(_parse(label, encoded), runtime_version=__version__)
    _check_files(label, manifest, entries)
    return Bundle(
        label, manifest, hashlib.sha256(encoded).hexdigest(), entries, signature, signers, trusted_by
    )


def untrusted_error(label: str, signers: Sequence[PublicKey]) -> BundleError:
    """Return the refusal of an intact bundle that no trusted key has signed."""
    if not signers:
        return BundleError(
            f"{label} is not signed, and this machine runs signed bundles only.",
            why="It holds trusted keys (`edge-ecg trust list`).",
            remedy="Sign it with one of them: edge-ecg sign BUNDLE --key FILE",
        )
    return BundleError(
        f"{label} is signed by a key that this machine does not trust.",
        why=f"Signed by {', '.join(map(str, signers))}; `edge-ecg trust list` shows who is trusted here.",
        remedy="If the key is yours: edge-ecg trust add KEY.pub. Else sign the bundle with a trusted key.",
    )


def _signers(label: str, signature: bytes, encoded: bytes) -> tuple[PublicKey, ...]:
    try:
        return tuple(one.key for one in check_signatures(signature, encoded))
    except SignatureError as error:
        raise BundleError(
            f"The signature of {label} is not right.",
            why=f"{str(error)[0].upper()}{str(error)[1:]}.",
            remedy="Copy or download it again from who signed it, or sign it anew: "
            "edge-ecg sign BUNDLE --key FILE --replace",
        ) from error
    except ImportError as error:
        raise BundleError(
            f"The signature of {label} cannot be checked here.",
            why=f"The Python package cryptography cannot be imported: {error}.",
            remedy="pip install cryptography",
        ) from error


class NamedBytes(io.BytesIO):
    """Bytes with the name of the file that they came from, for messages."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


def load_bytes(source: str | os.PathLike[str] | IO[bytes]) -> tuple[str, bytes]:
    """Return the name for messages and the content of a file or stream, neither of which is checked.

    Raises
    ------
    BundleError
        When it cannot be read, or is too large to be a bundle.

    """
    if not isinstance(source, str | os.PathLike):
        label = str(getattr(source, "name", "bundle"))
        return label, _bounded(label, source, 0)
    label = os.fspath(source)
    try:
        with Path(source).open("rb") as file:
            # 0 for a pipe, whose length nobody knows.
            return label, _bounded(label, file, os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise BundleError(
            f"The bundle {label} cannot be read.",
            why=f"{error.strerror or error}.",
            remedy="Give the path of an .ecgb file, or none for the model that comes with edge-ecg.",
        ) from error


def _bounded(label: str, file: IO[bytes], expected: int) -> bytes:
    """Read all of a file, never asking for much more than there is: a buffer of that size is made at once."""
    parts: list[bytes] = []
    size = 0
    while max(size, expected) <= MAX_BYTES:
        part = file.read(_STEP_BYTES if parts or not expected else expected + 1)
        if not part:
            return parts[0] if len(parts) == 1 else b"".join(parts)
        parts.append(part)
        size += len(part)
    raise BundleError(f"{label} is larger than {MAX_BYTES // 2**20} MiB: it is no model bundle.")


def _entries(listed: list[Entry]) -> dict[str, bytes]:
    entries: dict[str, bytes] = {}
    for name, content in listed:
        if not is_safe_name(name):
            raise ArchiveError(f"the path {name!r} leaves the archive")
        if name in entries:
            raise ArchiveError(f"it holds {name!r} twice")
        entries[name] = content
    if listed[0][0] != MANIFEST_NAME:
        raise ArchiveError(f"its first entry is {listed[0][0]!r}, not {MANIFEST_NAME}")
    head = (MANIFEST_NAME, SIGNATURE_NAME) if SIGNATURE_NAME in entries else (MANIFEST_NAME,)
    if list(entries) != [*head, *sorted(set(entries).difference(head))]:
        raise ArchiveError("its entries are not in order: manifest, signature, then the files by name")
    return entries


def _parse(label: str, encoded: bytes) -> object:
    try:
        return parse_json(encoded)
    except JsonError as error:
        raise BundleError(
            f"The manifest of {label} is not valid JSON.", why=f"{error}.", remedy="Export the bundle again."
        ) from error


def _check_files(label: str, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
    again = "Copy or download it again, or export it anew with `edge-ecg export`."
    for name in contents:
        if name not in manifest.files:
            raise BundleError(f"{label} holds {name!r}, which its manifest does not name.", remedy=again)
    for name, entry in manifest.files.items():
        content = contents.get(name)
        if content is None:
            raise BundleError(f"{label} lacks {name!r}, which its manifest names.", remedy=again)
        if len(content) != entry.bytes:
            raise BundleError(
                f"{name!r} in {label} has {len(content)} bytes; the manifest says {entry.bytes}.",
                remedy=again,
            )
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise BundleError(
                f"The SHA-256 of {name!r} in {label} differs from the manifest's.", remedy=again
            )
    needed = [*manifest.engines.values(), *(head for task in manifest.tasks.values() for head in task.heads)]
    for name in needed:
        if name not in manifest.files:
            raise BundleError(
                f"The manifest of {label} refers to {name!r} but does not list it.", remedy=again
            )
