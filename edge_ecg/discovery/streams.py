"""LSL streams in this network."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from ..errors import DeviceError


@dataclass(frozen=True, slots=True)
class FoundStream:
    """An LSL stream.

    Attributes
    ----------
    port:
        What to give to ``--port``.
    name, type, source_id, host, channels, nominal_hz:
        As the stream says.
    streams:
        Whether it says that it is an ECG.

    """

    port: str
    name: str
    type: str
    source_id: str
    host: str
    channels: int
    nominal_hz: float
    streams: bool


@dataclass(frozen=True, slots=True)
class StreamScan:
    """The streams found; or ``reason`` and ``remedy`` when nobody could look."""

    streams: tuple[FoundStream, ...] = ()
    reason: str = ""
    remedy: str = ""


def find_streams(timeout_s: float) -> StreamScan | None:
    """List the LSL streams that answer within ``timeout_s``; None where pylsl is not installed.

    Never raises for a missing library: the result says in words what is missing.
    """
    if find_spec("pylsl") is None:
        return None
    from ..sources.lsl_link import find_lsl

    try:
        found = find_lsl(timeout_s)
    except DeviceError as error:
        return StreamScan(reason=f"{error.what} {error.why}".strip(), remedy=error.remedy)
    names = [one.name for one in found]
    return StreamScan(
        tuple(
            FoundStream(
                f"lsl:{one.name if names.count(one.name) == 1 or not one.source_id else one.source_id}",
                one.name,
                one.type,
                one.source_id,
                one.host,
                one.channels,
                one.nominal_hz,
                one.is_ecg,
            )
            for one in found
        )
    )
