"""Addresses: the one text that says where samples come from.

    /dev/ttyUSB0?baud=115200    COM3    a pty       scheme "serial"
    socket://HOST:PORT    rfc2217://HOST:PORT       serial over the network
    bt:00:06:66:AA:BB:CC    bt:ADDRESS/CHANNEL      Bluetooth classic
    ble:NAME    ble:ADDRESS                         Bluetooth LE
    lsl:NAME    lsl:SOURCE_ID                       a stream of the lab streaming layer
    file:PATH?speed=max&channel=ECG                 a recording
    sim:    sim:shimmer3?hr=80                      simulated ECG

What stands before ``?`` is taken literally (a path may hold ``%``); the options after it are decoded like
a URL's, so that a value may hold ``&`` as ``%26``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from ..errors import UsageError

SERIAL = "serial"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Address:
    """Where samples come from.

    Attributes
    ----------
    scheme:
        Lower case; ``serial`` where the text names a port.
    target:
        What the scheme opens: a path, ``HOST:PORT``, a device's name. May be empty (``sim:``).
    options:
        The decoded options, names in lower case.
    text:
        The address as it was given.

    """

    scheme: str
    target: str
    options: Mapping[str, str] = field(default_factory=dict)
    text: str = ""

    def __str__(self) -> str:
        return self.text or f"{self.scheme}:{self.target}"

    def require_known(self, known: Iterable[str]) -> None:
        """Raise UsageError when the address carries an option that nobody reads."""
        known = sorted(known)
        for name in self.options:
            if name not in known:
                raise UsageError(
                    f"The address {self} has an unknown option {name!r}.",
                    remedy=f"It understands {', '.join(known)}." if known else "It takes no options.",
                )

    def number(
        self,
        name: str,
        default: float,
        *,
        minimum: float = -math.inf,
        maximum: float = math.inf,
        words: Mapping[str, float] | None = None,
    ) -> float:
        """Return option ``name`` as a number, or as one of ``words``; UsageError when it is neither."""
        text = self.options.get(name)
        if text is None:
            return default
        if words and text.lower() in words:
            return words[text.lower()]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not minimum <= value <= maximum or not math.isfinite(value):
            spelled = "".join(f" or {word}" for word in words or ())
            bounds = (
                f" from {minimum:g} to {maximum:g}"
                if math.isfinite(minimum) and math.isfinite(maximum)
                else f" of at least {minimum:g}"
                if math.isfinite(minimum)
                else ""
            )
            raise UsageError(
                f"{name}={text} in the address {self} is not a usable value.",
                remedy=f"Give {name} as a number{bounds}{spelled}.",
            )
        return value

    def choice(self, name: str, default: str, choices: Iterable[str]) -> str:
        """Return option ``name``, which must be one of ``choices`` (upper and lower case alike)."""
        text = self.options.get(name, default)
        choices = list(choices)
        for choice in choices:
            if choice.lower() == text.lower():
                return choice
        raise UsageError(
            f"{name}={text} in the address {self} is not a usable value.",
            remedy=f"Choose one of {', '.join(choices)}.",
        )


def parse_address(text: str) -> Address:
    """Split an address into its parts.

    Raises
    ------
    UsageError
        When the text is empty or its options are not ``name=value`` pairs.

    """
    if not text.strip():
        raise UsageError("The address is empty.", remedy="Give one such as /dev/ttyUSB0, file:PATH or sim:")
    place, question, query = text.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise UsageError(
            f"The options of the address {text} cannot be read.",
            remedy="Write them as ?name=value&name=value, in quotes because of the shell.",
        ) from None
    if question and not query:
        raise UsageError(
            f"The address {text} ends in a question mark.", remedy="Leave it out or add an option."
        )
    options = {name.lower(): value for name, value in pairs}
    match = _SCHEME.fullmatch(place)
    if match is None or place.startswith("/"):
        return Address(SERIAL, place, options, text)
    scheme, target = match[1].lower(), match[2]
    if target.startswith("//") and scheme != "file":
        target = target[2:]
    return Address(scheme, target, options, text)
