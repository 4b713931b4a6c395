"""LSL streams through pylsl: finding one, and its samples as a transport.

pylsl is loaded when a stream is wanted and not before. On a Raspberry Pi its package comes without the
library that it wraps (liblsl), which is then said.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from ..errors import DeviceError, UsageError
from .base import Clock
from .lsl_session import pack
from .transport import TransportLostError

_RESOLVE_S = 1.0
# What a slow reader may leave waiting; beyond it the oldest samples go, which their stamps then show.
_BUFFER_S = 60
_CHUNK_SAMPLES = 2048
_OPEN_S = 5.0
_CORRECT_EVERY_S = 5.0
LIBRARY_REMEDY = (
    "Install the liblsl package for this system from github.com/sccn/liblsl/releases "
    "(sudo apt install ./liblsl-*.deb), or set PYLSL_LIB to the path of liblsl.so"
)
_CONFIGURATIONS = ("lsl_api.cfg", "~/lsl_api/lsl_api.cfg", "/etc/lsl_api/lsl_api.cfg")
_quiet = False


@dataclass(frozen=True, slots=True)
class FoundLsl:
    """An LSL stream in this network."""

    name: str
    type: str
    source_id: str
    host: str
    channels: int
    nominal_hz: float

    @classmethod
    def of(cls, info: Any) -> FoundLsl:
        """Read what was resolved; ``info`` is a pylsl.StreamInfo."""
        return cls(
            info.name(),
            info.type(),
            info.source_id(),
            info.hostname(),
            info.channel_count(),
            info.nominal_srate(),
        )

    @property
    def is_ecg(self) -> bool:
        """Whether it says that it is one."""
        return self.type.casefold() in ("ecg", "ekg")


def load_pylsl() -> Any:
    """Return the module pylsl; DeviceError with what to install when it or its library is missing."""
    try:
        pylsl = import_module("pylsl")
    except ModuleNotFoundError:
        raise DeviceError(
            "LSL streams need the Python package pylsl, which is not installed here.",
            remedy="pip install 'edge-ecg[lsl]'",
        ) from None
    except (RuntimeError, OSError) as error:
        raise DeviceError(
            "LSL streams need the library liblsl, which is not installed here.",
            why=f"pylsl is here, but {str(error).splitlines()[0] if str(error) else 'cannot load it'}",
            remedy=LIBRARY_REMEDY,
        ) from None
    _keep_quiet(pylsl)
    return pylsl


def _keep_quiet(pylsl: Any) -> None:
    """Let liblsl write only what is fatal: what else befalls a stream is said by us.

    A configuration of the user's, which this would put aside, goes first.
    """
    global _quiet
    if _quiet:
        return
    _quiet = True
    named = "LSLAPICFG" in os.environ or any(
        os.path.isfile(os.path.expanduser(name)) for name in _CONFIGURATIONS
    )
    if not named and hasattr(pylsl, "set_config_content"):  # pylsl 1.18 and later
        pylsl.set_config_content("[log]\nlevel = -3\n")


def find_lsl(timeout_s: float = _RESOLVE_S) -> list[FoundLsl]:
    """List the streams that answer within ``timeout_s``, ECG first; errors as in :func:`load_pylsl`."""
    return sorted(
        (FoundLsl.of(info) for info in load_pylsl().resolve_streams(timeout_s)),
        key=lambda one: (not one.is_ecg, one.name, one.source_id),
    )


def choose(found: Sequence[FoundLsl], wanted: str) -> int | None:
    """Return which of the streams is meant by a name or source id; None when it is not there.

    An empty name means the only ECG. The whole name goes before its beginning.

    Raises
    ------
    UsageError
        When several are meant.

    """
    folded = wanted.casefold()
    whole = [i for i, one in enumerate(found) if folded in (one.name.casefold(), one.source_id.casefold())]
    begin = [i for i, one in enumerate(found) if one.is_ecg and one.name.casefold().startswith(folded)]
    fitting = (whole if wanted else []) or begin
    if len(fitting) > 1 and any(found[i].is_ecg for i in fitting):
        fitting = [i for i in fitting if found[i].is_ecg]
    if len(fitting) > 1:
        listed = ", ".join(f"{found[i].name} on {found[i].host} (lsl:{found[i].source_id})" for i in fitting)
        raise UsageError(
            f"{len(fitting)} LSL streams are meant by {f'lsl:{wanted}'!r}.",
            why=f"There are {listed}.",
            remedy="Give one's source id.",
        )
    return fitting[0] if fitting else None


class LslLink:
    """One channel of one stream; see :class:`edge_ecg.sources.transport.Transport`.

    Stamps are corrected to this machine's LSL clock, so that they go on when the sender begins anew.

    Raises
    ------
    DeviceError
        When the stream does not answer.

    """

    def __init__(self, info: Any, clock: Clock = time.monotonic) -> None:
        self._pylsl = load_pylsl()
        self.name = f"lsl:{info.name()}"
        self._clock = clock
        # Without recovery of its own: a stream that has gone is told, and looked for by us.
        self._inlet = self._pylsl.StreamInlet(
            info, max_buflen=_BUFFER_S, processing_flags=self._pylsl.proc_none, recover=False
        )
        self.channel = 0
        self._correction_s = 0.0
        self._corrected_s = -np.inf
        self._closed = False
        try:
            self.info = self._inlet.info(timeout=_OPEN_S)
            self._correct(timeout_s=_OPEN_S)
            self._inlet.open_stream(timeout=_OPEN_S)
        except (RuntimeError, TimeoutError) as error:  # pylsl's own errors are RuntimeErrors
            self.close()
            raise DeviceError(
                f"The LSL stream {info.name()} is announced, but does not answer.",
                why=f"{type(error).__name__}: {error}",
                remedy="Start the program that sends it again; a firewall must let TCP 16572 to 16604 pass.",
            ) from None

    def now(self) -> float:
        """Return the host clock."""
        return self._clock()

    def read(self, timeout_s: float, gather_s: float = 0.0) -> bytes:
        """Wait up to ``timeout_s`` for samples, as :func:`edge_ecg.sources.lsl_session.pack` gives them."""
        if self._closed:
            raise TransportLostError("the stream was closed")
        try:
            values, stamps = self._inlet.pull_chunk(timeout=0.0, max_samples=_CHUNK_SAMPLES)
            if not stamps:
                one, stamp = self._inlet.pull_sample(timeout=timeout_s)
                if stamp is None:
                    return b""
                if gather_s:
                    time.sleep(gather_s)
                more, more_stamps = self._inlet.pull_chunk(timeout=0.0, max_samples=_CHUNK_SAMPLES)
                values, stamps = [one, *more], [stamp, *more_stamps]
            if self._clock() - self._corrected_s >= _CORRECT_EVERY_S:
                self._correct(timeout_s=0.2)
        except RuntimeError as error:
            raise TransportLostError(str(error) or type(error).__name__) from None
        column = np.asarray([row[self.channel] for row in values], dtype=np.float64)
        return pack(np.asarray(stamps) + self._correction_s, column)

    def write(self, data: bytes) -> None:
        """Do nothing: a stream is not talked to."""

    def close(self) -> None:
        """Leave the stream."""
        self._closed = True
        with suppress(RuntimeError):
            self._inlet.close_stream()

    def _correct(self, timeout_s: float) -> None:
        self._corrected_s = self._clock()
        try:
            self._correction_s = float(self._inlet.time_correction(timeout=timeout_s))
        except (RuntimeError, TimeoutError):  # not told in time: the last one still holds
            if timeout_s == _OPEN_S:
                raise
