"""``lsl:`` addresses: a stream of the lab streaming layer, by name or source id.

``lsl:NAME?channel=ECG&unit=uv&fs=250``: channel by label or number (from 1), unit and rate only where the
stream does not say them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..errors import DeviceError, UsageError
from .address import Address
from .base import Clock
from .lsl_channels import UNIT_NAMES, LslChannel, channels_of, unit_in_mv
from .lsl_link import FoundLsl, LslLink, choose, load_pylsl
from .lsl_session import MAX_FS_HZ, MIN_FS_HZ, LslSession, LslSettings
from .reconnect import OPTION, wants_reconnect
from .session_source import SessionSource

OPTIONS = frozenset(("channel", "unit", "fs", OPTION))
_LISTEN_S = 5.0
_ROUND_S = 1.0


def open_lsl(address: Address, *, device: str | None = None, clock: Clock = time.monotonic) -> SessionSource:
    """Open an LSL stream.

    Raises
    ------
    UsageError
        When an option is unknown, or several streams or no channel fit.
    DeviceError
        When pylsl or liblsl is missing, or the stream is not there or cannot be read.

    """
    door = LslDoor(address, device=device, clock=clock)
    again = door.connect if wants_reconnect(address) else None
    return SessionSource(address, *door.connect(), clock=clock, connect=again)


class LslDoor:
    """Opens links to one stream, again and again.

    Parameters
    ----------
    address:
        An ``lsl:`` address.
    device:
        ``lsl`` or None.
    clock:
        Monotonic seconds.
    resolve:
        Seconds -> descriptions of the streams that answered meanwhile; for tests.

    Raises
    ------
    UsageError
        When the kind or an option makes no sense.

    """

    def __init__(
        self,
        address: Address,
        *,
        device: str | None = None,
        clock: Clock = time.monotonic,
        resolve: Callable[[float], list[Any]] | None = None,
    ) -> None:
        if device is not None and device.lower() != "lsl":
            raise UsageError(f"{address} is an LSL stream, not a {device}.", remedy="Leave --device out.")
        address.require_known(OPTIONS)
        self._unit = (
            unit_in_mv(address.choice("unit", "mv", UNIT_NAMES)) if "unit" in address.options else None
        )
        self._fs_hz = address.number("fs", 0.0, minimum=MIN_FS_HZ, maximum=MAX_FS_HZ)
        self._address = address
        self._clock = clock
        self._resolve = resolve
        # After the first time, the very same stream: its name may be used twice by then.
        self._wanted = address.target

    def connect(self, rescan: bool = False) -> tuple[LslLink, LslSession]:
        """Make a link and a session for it; the stream is looked for every time.

        Raises
        ------
        UsageError
            When several streams or no channel fit.
        DeviceError
            When the stream is not there, or cannot be read.

        """
        pylsl = load_pylsl()
        info, found = self._find(self._resolve or pylsl.resolve_streams)
        if info.channel_format() == pylsl.cf_string:
            raise DeviceError(
                f"The LSL stream {found.name} carries text, not samples.",
                remedy="Choose another; edge-ecg devices lists them.",
            )
        link = LslLink(info, self._clock)
        try:
            channel = self._channel(found, channels_of(link.info))
            link.channel = channel.index
            scale = self._unit if self._unit is not None else unit_in_mv(channel.unit)
            if scale is None:
                raise DeviceError(
                    f"The LSL stream {found.name} does not say in which unit its samples are.",
                    why=f"Its unit is {channel.unit!r}." if channel.unit else "It names none.",
                    remedy=f"Add ?unit= to the address: {', '.join(UNIT_NAMES)}.",
                )
        except BaseException:
            link.close()
            raise
        self._wanted = found.source_id or self._wanted
        settings = LslSettings(
            self._fs_hz or found.nominal_hz,
            scale,
            {
                "name": found.name,
                "channel": channel.label or channel.index + 1,
                "unit": channel.unit,
                "host": found.host,
                "source_id": found.source_id,
            },
        )
        return link, LslSession(settings)

    def _find(self, resolve: Callable[[float], list[Any]]) -> tuple[Any, FoundLsl]:
        seen: list[FoundLsl] = []
        for _ in range(round(_LISTEN_S / _ROUND_S)):
            infos = resolve(_ROUND_S)
            seen = [FoundLsl.of(info) for info in infos]
            at = choose(seen, self._wanted)
            if at is not None:
                return infos[at], seen[at]
        listed = ", ".join(sorted({f"lsl:{one.name} ({one.type or 'no type'})" for one in seen}))
        what = f"no LSL stream {self._wanted!r}" if self._wanted else "no LSL stream of type ECG"
        raise DeviceError(
            f"There is {what} in this network.",
            why=f"There are {listed}." if listed else f"No stream answered within {_LISTEN_S:g} s.",
            remedy="Start the program that sends it; both machines must be in one network, and no firewall "
            "may hold back UDP 16571.",
        )

    def _channel(self, found: FoundLsl, channels: list[LslChannel]) -> LslChannel:
        wanted = self._address.options.get("channel")
        if wanted is not None:
            return _named(self._address, channels, wanted)
        marked = [one for one in channels if one.type.casefold() in ("ecg", "ekg")]
        if marked:
            return marked[0]
        if found.is_ecg and not channels[0].type:
            return channels[0]
        raise UsageError(
            f"The LSL stream {found.name} (type {found.type!r}) does not say which channel is an ECG.",
            why=f"Its channels are {_listed(channels)}.",
            remedy="Add ?channel= and a label or a number (from 1) to the address.",
        )


def _named(address: Address, channels: list[LslChannel], wanted: str) -> LslChannel:
    for one in channels:
        if one.label and one.label.casefold() == wanted.casefold():
            return one
    if wanted.isdecimal() and 1 <= int(wanted) <= len(channels):
        return channels[int(wanted) - 1]
    raise UsageError(
        f"There is no channel {wanted!r} in {address}.", remedy=f"Choose one of {_listed(channels)}."
    )


def _listed(channels: list[LslChannel]) -> str:
    return ", ".join(f"{one.index + 1} {one.label}".rstrip() for one in channels[:20])
