"""Signing a bundle: the same bytes, with ``manifest.sig`` behind the manifest."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ..errors import BundleError
from .archive import ArchiveError, pack, unpack
from .manifest import MANIFEST_NAME, SIGNATURE_NAME
from .public_key import KeyFormatError
from .reader import read_bundle
from .signature import MAX_SIGNATURES, Signature, encode_signatures, parse_signatures
from .trust import TrustedKeys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def sign_bundle(
    data: bytes, private: Ed25519PrivateKey, *, comment: str = "", replace: bool = False
) -> bytes:
    """Return a bundle signed by this key as well as by those who signed it before.

    Signing again with the same key replaces that key's signature; Ed25519 is deterministic, so the same
    comment gives the same bytes.

    Parameters
    ----------
    data:
        A whole bundle.
    private:
        An ``Ed25519PrivateKey`` of the package ``cryptography``
        (:func:`edge_ecg.bundle.private_key.load_private_key`).
    comment:
        Printable text that is signed along with the manifest.
    replace:
        Drop all earlier signatures, whether they are right or not.

    Raises
    ------
    BundleError
        When the bundle is not intact, has an earlier signature that is not right, or would get more than
        eight; when the comment is not printable.

    """
    if replace:
        data = _without_signature(data)
    bundle = read_bundle(io.BytesIO(data), trust=TrustedKeys())
    entries = [(name, content) for name, content in unpack(data) if name != SIGNATURE_NAME]
    try:
        own = Signature.make(private, dict(entries)[MANIFEST_NAME], comment)
    except KeyFormatError as error:
        raise BundleError("The bundle cannot be signed with this key.", why=f"{error}.") from error
    earlier = () if bundle.signature is None else parse_signatures(bundle.signature)
    signatures = [one for one in earlier if one.key.raw != own.key.raw]
    if len(signatures) >= MAX_SIGNATURES:
        raise BundleError(
            f"The bundle has {len(signatures)} signatures already, as many as it can have.",
            remedy="Drop them: edge-ecg sign BUNDLE --key FILE --replace",
        )
    signed = pack([entries[0], (SIGNATURE_NAME, encode_signatures([*signatures, own])), *entries[1:]])
    # What leaves here must be accepted where only this key is trusted.
    if own.key not in read_bundle(io.BytesIO(signed), trust=TrustedKeys()).signers:
        raise AssertionError("the signature that was just made is not found")
    return signed


def _without_signature(data: bytes) -> bytes:
    try:
        return pack([entry for entry in unpack(data) if entry[0] != SIGNATURE_NAME])
    except ArchiveError:
        return data  # the reader says what is wrong with it
