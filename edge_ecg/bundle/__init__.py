"""The model bundle: one file that holds an encoder, its heads and all that is known of them."""

from .golden import Golden
from .highest import Highest, read_highest, refuse_downgrade, with_highest, write_highest
from .manifest import EncoderSpec, FileEntry, InputSpec, Manifest, Preprocessing, TaskSpec
from .public_key import KeyFormatError, PublicKey
from .reader import Bundle, read_bundle
from .signing import sign_bundle
from .trust import TrustedKey, TrustedKeys
from .writer import bundle_bytes, save_bundle, write_bundle

__all__ = [
    "Bundle",
    "EncoderSpec",
    "FileEntry",
    "Golden",
    "Highest",
    "InputSpec",
    "KeyFormatError",
    "Manifest",
    "Preprocessing",
    "PublicKey",
    "TaskSpec",
    "TrustedKey",
    "TrustedKeys",
    "bundle_bytes",
    "read_bundle",
    "read_highest",
    "refuse_downgrade",
    "save_bundle",
    "sign_bundle",
    "with_highest",
    "write_bundle",
    "write_highest",
]
