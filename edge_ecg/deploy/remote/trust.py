"""Putting a public key among those that a device trusts, last of all: what counts there is signed by it.

The service looks at the signature at each start. A key that came first, and then a link that was cut, would
leave a device that trusts the key and has nothing signed by it: one that does not start again.
"""

from __future__ import annotations

import base64
import shlex
from pathlib import Path

from ...bundle.public_key import KeyFormatError, PublicKey
from ...bundle.trust_edit import key_file_name
from ...errors import EdgeEcgError, RemoteError, UsageError
from .device_side import DeviceSide
from .ssh import Remote

_LIMIT_S = 60.0

# $name, $key and $blob (the key without its comment) are set before; answers `known FILE` or `new FILE`.
# Written beside the folder, since one that holds files but no key is an error there.
_SCRIPT = """
umask 077
folder=${EDGE_ECG_TRUSTED_KEYS:-${XDG_CONFIG_HOME:-$HOME/.config}/edge-ecg/trusted_keys}
folder=${folder%%:*}
known=$(grep -lF -- "$blob" "$folder"/*.pub 2>/dev/null | head -n 1)
if [ -n "$known" ]; then printf 'known %s' "$known"; exit 0; fi
mkdir -p "$(dirname "$folder")" || exit 1
printf '%s\\n' "$key" >"$folder.$name.new" && sync "$folder.$name.new" || exit 1
mkdir -p "$folder" && mv "$folder.$name.new" "$folder/$name" && sync "$folder" || exit 1
printf 'new %s' "$folder/$name"
"""


def read_public_key(path: Path) -> PublicKey:
    """Return an OpenSSH public key.

    Raises
    ------
    UsageError
        When the file cannot be read or holds no Ed25519 public key; a private one is refused by name.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"The key {path} cannot be read.", why=f"{error.strerror or error}.") from error
    except UnicodeError as error:
        raise UsageError(f"{path} is no public key.", why="It is no text.") from error
    if "PRIVATE KEY" in text:
        raise UsageError(f"{path} is a private key: it stays here.", remedy=f"--trust {path}.pub")
    try:
        return PublicKey.parse(text)
    except KeyFormatError as error:
        raise UsageError(
            f"{path} is no Ed25519 public key.",
            why=f"In short: {error}.",
            remedy="Make a pair with `edge-ecg keygen`.",
        ) from error


def trust(remote: Remote, device: DeviceSide, path: Path, key: PublicKey) -> str:
    """Add a key on a device whose current bundle is signed by it; returns the file that it is in there.

    Raises
    ------
    RemoteError, BundleError
        When it cannot be written, or the device then does not accept its current bundle (the key is removed
        again, unless it was trusted before); when the connection is lost.

    """
    name = key_file_name(key, path.name.removesuffix(".pub"))
    blob = base64.b64encode(key.blob).decode()
    head = f"name={shlex.quote(name)}\nkey={shlex.quote(key.line)}\nblob={shlex.quote(blob)}\n"
    done = remote.run(head + _SCRIPT, timeout_s=_LIMIT_S)
    if done.returncode:
        raise RemoteError(f"{remote.host} does not take the trusted key.", why=done.words)
    state, _, file = done.text.partition(" ")
    try:
        device.call("verify", f"{device.root}/current/model.ecgb", timeout_s=_LIMIT_S)
    except EdgeEcgError:
        # One that was there stays: without its only key a device would run whatever it is sent.
        if state == "new":
            remote.run(["rm", "-f", "--", file], timeout_s=_LIMIT_S)
        raise
    return file
