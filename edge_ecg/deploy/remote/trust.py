"""Putting a public key among those that a device trusts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from ...errors import RemoteError, UsageError
from .ssh import Remote

_PUBLIC_KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/=]{60,200}( [^\r\n]*)?\n?")
_LIMIT_S = 60.0

# $name and $key are set before.
_SCRIPT = """
umask 022
folder=${EDGE_ECG_TRUSTED_KEYS:-${XDG_CONFIG_HOME:-$HOME/.config}/edge-ecg/trusted_keys}
folder=${folder%%:*}
mkdir -p "$folder" || exit 1
printf '%s\\n' "$key" >"$folder/.$name.new" && sync "$folder/.$name.new" || exit 1
mv "$folder/.$name.new" "$folder/$name" && sync "$folder" && printf '%s' "$folder/$name"
"""


def read_public_key(path: Path) -> str:
    """Return an OpenSSH public key's line.

    Raises
    ------
    UsageError
        When the file cannot be read or holds no Ed25519 public key; a private one is refused by name.

    """
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeError) as error:
        raise UsageError(f"The key {path} cannot be read.", why=f"{error}.") from error
    if "PRIVATE KEY" in text:
        raise UsageError(f"{path} is a private key: it stays here.", remedy=f"--trust {path}.pub")
    if _PUBLIC_KEY.fullmatch(text) is None:
        raise UsageError(
            f"{path} is no Ed25519 public key.",
            why="One line `ssh-ed25519 AAAA... comment` is expected.",
            remedy="Make a pair with `edge-ecg keygen`.",
        )
    return text.strip()


def trust(remote: Remote, path: Path, key: str) -> str:
    """Add a key (from :func:`read_public_key`) on a device; returns the file that it is in there.

    Raises
    ------
    RemoteError
        When it cannot be written, or the connection is lost.

    """
    name = re.sub(r"[^A-Za-z0-9_-]", "-", path.name.removesuffix(".pub")) + ".pub"
    head = f"name={shlex.quote(name)}\nkey={shlex.quote(key)}\n"
    done = remote.run(head + _SCRIPT, timeout_s=_LIMIT_S)
    if done.returncode:
        raise RemoteError(f"{remote.host} does not take the trusted key.", why=done.words)
    return done.text
