"""Where the built systems are kept: a folder each, named by what went into it, complete or not there."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

COMPLETE = ".complete"


def cache_root() -> Path:
    """Return the folder of all that these tests build and keep."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "edge-ecg-tests"


def cached(kind: str, recipe: Any, build: Callable[[Path], None]) -> Path:
    """Return the folder that ``build`` filled for this recipe; build it when it is absent or half done.

    The recipe (anything that JSON can hold) is the key. A build that was broken off left no mark of
    completion and is thrown away; two processes that want the same folder wait for one another.
    """
    text = json.dumps(recipe, sort_keys=True)
    folder = cache_root() / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / COMPLETE).exists():
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir()
            build(folder)
            (folder / COMPLETE).write_text(text + "\n", encoding="utf-8")
    return folder
