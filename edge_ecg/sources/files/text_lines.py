"""Lines of a text file, plain or gzipped, with bounds on what a damaged one can make us hold."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

from ...errors import DataError

HEAD_LINES = 4096
_LONGEST_LINE = 1 << 20
_HEAD_BYTES = 1 << 24
_BATCH_LINES = 4096
_GZIP = b"\x1f\x8b"
_UTF8_MARK = b"\xef\xbb\xbf"


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    with path.open("rb") as file:
        zipped = file.read(2) == _GZIP
        file.seek(0)
        if not zipped:
            yield file
            return
        try:
            with gzip.GzipFile(fileobj=file) as stream:
                yield stream
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(
                f"{path.name} is a damaged or truncated gzip file.",
                why=str(error),
                remedy=f"Copy it again; `zcat {path.name} > part.csv` saves what can be read.",
            ) from error


def read_lines(path: Path) -> Iterator[str]:
    """Every line with its line end, as text (UTF-8, else Latin-1).

    Raises
    ------
    DataError
        When a line is longer than a mebibyte (the file is no text) or the gzip stream is damaged.

    """
    with _opened(path) as stream:
        first = True
        while line := stream.readline(_LONGEST_LINE):
            if first:
                line = line.removeprefix(_UTF8_MARK)
                first = False
            if len(line) == _LONGEST_LINE:
                raise DataError(
                    f"{path.name} has a line of more than {_LONGEST_LINE} bytes.",
                    why="It is not a table of samples.",
                    remedy="Give a file with one sample a line.",
                )
            yield _decoded(line)


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def head(path: Path) -> list[str]:
    """The first lines, enough to tell the layout and the rate."""
    lines: list[str] = []
    size = 0
    for line in islice(read_lines(path), HEAD_LINES):
        lines.append(line)
        size += len(line)
        if size > _HEAD_BYTES:
            break
    return lines


def batches(path: Path, skip: int) -> Iterator[tuple[int, list[str]]]:
    """Line number (from 1) and lines, a few thousand at a time, after the first ``skip`` lines."""
    lines = islice(read_lines(path), skip, None)
    number = skip + 1
    while batch := list(islice(lines, _BATCH_LINES)):
        yield number, batch
        number += len(batch)
