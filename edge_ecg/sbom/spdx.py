"""Licence expressions: ``(MIT OR Apache-2.0) AND Unicode-3.0`` (SPDX specification 2.3, annex D)."""

from __future__ import annotations

import re
from collections.abc import Callable

_TOKEN = re.compile(r"\s*(\(|\)|[A-Za-z0-9][A-Za-z0-9.+-]*)", re.ASCII)


def evaluate(expression: str, accepts: Callable[[str], bool]) -> bool:
    """Whether an expression can be met with licences that are accepted.

    Parameters
    ----------
    expression:
        All of what ``AND`` joins must be accepted, one of what ``OR`` joins; ``AND`` binds closer.
    accepts:
        Called with each licence, with its exception where it has one (``Apache-2.0 WITH LLVM-exception``).

    Raises
    ------
    ValueError
        When it is no expression.

    """
    tokens = _tokens(expression)
    result = _either(tokens, accepts)
    if tokens:
        raise ValueError(f"{expression!r} goes on after its end")
    return result


def licences(expression: str) -> list[str]:
    """Return each licence of an expression once, in the order of the text; ValueError when it is none."""
    found: dict[str, None] = {}
    evaluate(expression, lambda licence: found.setdefault(licence) is None)
    return list(found)


def _tokens(expression: str) -> list[str]:
    tokens, position = [], 0
    while position < len(expression.rstrip()):
        match = _TOKEN.match(expression, position)
        if match is None:
            raise ValueError(f"{expression!r} is no licence expression")
        tokens.append(match[1])
        position = match.end()
    return tokens


def _either(tokens: list[str], accepts: Callable[[str], bool]) -> bool:
    result = _both(tokens, accepts)
    while tokens[:1] == ["OR"]:
        tokens.pop(0)
        result = _both(tokens, accepts) or result
    return result


def _both(tokens: list[str], accepts: Callable[[str], bool]) -> bool:
    result = _one(tokens, accepts)
    while tokens[:1] == ["AND"]:
        tokens.pop(0)
        result = _one(tokens, accepts) and result
    return result


def _one(tokens: list[str], accepts: Callable[[str], bool]) -> bool:
    token = tokens.pop(0) if tokens else ")"
    if token == "(":
        result = _either(tokens, accepts)
        if not tokens or tokens.pop(0) != ")":
            raise ValueError("a bracket is not closed")
        return result
    if token in (")", "AND", "OR", "WITH"):
        raise ValueError("a licence is missing")
    if tokens[:1] == ["WITH"]:
        tokens.pop(0)
        if not tokens or tokens[0] in ("(", ")", "AND", "OR", "WITH"):
            raise ValueError("an exception is missing")
        token = f"{token} WITH {tokens.pop(0)}"
    return accepts(token)
