"""Pieces of C: arrays, numbers, headers. What is made compiles as C99 and as C++11."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

_LINE = 100


def float_text(value: float) -> str:
    """Return a float32 value as a literal that reads back as the very same value."""
    text = f"{np.float32(value):.9g}"
    return f"{text}f" if any(mark in text for mark in ".en") else f"{text}.0f"


def double_text(value: float) -> str:
    """Return a float64 value as a literal that reads back as the very same value."""
    return repr(float(value))


def string_text(text: str) -> str:
    """Return text as a C string; what is not plain ASCII becomes the octal bytes of its UTF-8."""
    made = []
    for byte in text.encode():
        plain = 32 <= byte < 127 and chr(byte) not in '"\\?'
        made.append(chr(byte) if plain else f"\\{byte:03o}")
    return f'"{"".join(made)}"'


def identifier(name: str) -> str:
    """Return a name as a C identifier."""
    made = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{made}" if made[:1].isdigit() or not made else made


def array(kind: str, name: str, values: NDArray[np.generic], *, before: str = "") -> str:
    """Return the definition of a constant array, flat, in lines of a hundred characters."""
    flat = values.reshape(-1)
    write = float_text if flat.dtype.kind == "f" else str
    lines = list(_filled(write(value) for value in flat.tolist()))
    return f"{before}const {kind} {name}[{len(flat)}] = {{\n" + "\n".join(lines) + "\n};\n"


def header(name: str, comment: str, body: Sequence[str]) -> str:
    """Return a header with a guard, for C and C++."""
    guard = f"{name.upper()}_H_"
    return "\n".join(
        [
            block(comment),
            f"#ifndef {guard}",
            f"#define {guard}",
            "",
            "#include <stddef.h>",
            "#include <stdint.h>",
            "",
            "#ifdef __cplusplus",
            'extern "C" {',
            "#endif",
            "",
            *body,
            "",
            "#ifdef __cplusplus",
            "}",
            "#endif",
            "",
            f"#endif  /* {guard} */",
            "",
        ]
    )


def block(comment: str) -> str:
    """Return a comment of several lines."""
    lines = comment.replace("*/", "* /").splitlines()
    return "\n".join(["/*", *(f" * {line}".rstrip() for line in lines), " */"])


def _filled(words: Iterable[str]) -> Iterable[str]:
    line = " "
    for word in words:
        if len(line) + len(word) + 2 > _LINE:
            yield line
            line = " "
        line += f" {word},"
    if line.strip():
        yield line
