"""The model bundle: one file that holds an encoder, its heads and all that is known of them."""

from .golden import Golden
from .highest import Highest, read_highest, refuse_downgrade, with_highest, write_highest
from .manifest import EncoderSpec, FileEntry, InputSpec, Manifest, Preprocessing, TaskSpec
from .reader import Bundle, read_bundle
from .writer import bundle_bytes, save_bundle, write_bundle

__all__ = [
    "Bundle",
    "EncoderSpec",
    "FileEntry",
    "Golden",
    "Highest",
    "InputSpec",
    "Manifest",
    "Preprocessing",
    "TaskSpec",
    "bundle_bytes",
    "read_bundle",
    "read_highest",
    "refuse_downgrade",
    "save_bundle",
    "with_highest",
    "write_bundle",
    "write_highest",
]
