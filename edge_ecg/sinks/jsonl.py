"""One JSON object a line, each flushed at once, so that a program at the other end of a pipe sees it now."""

from __future__ import annotations

import json
from typing import TextIO

from ..records import Record


class JsonLines:
    """Write records as JSON lines to an open text stream, which stays open."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, record: Record) -> None:
        """Write one line."""
        text = json.dumps(record.to_json(), ensure_ascii=False, allow_nan=False)
        self._stream.write(text + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing to put back."""
