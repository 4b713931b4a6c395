"""Stages of a rollout: after each, so many hosts shall have the new model before more are begun."""

from __future__ import annotations

import math
import re

from ...errors import UsageError

DEFAULT = "1,10%,100%"
_STAGE = re.compile(r"(\d{1,6})(%?)")


def stage_ends(text: str, hosts: int) -> list[int]:
    """Return how many hosts are done after each stage; the last is all of them.

    ``1,10%,100%`` of 20 hosts is [1, 2, 20]: a share is rounded up, a stage that adds nobody is left out, and
    what no stage reaches is added as the last one.

    Raises
    ------
    UsageError
        When a stage is neither a number from 1 on nor a share of 1 to 100 %.

    """
    ends: list[int] = []
    for part in text.split(","):
        found = _STAGE.fullmatch(part.strip())
        number = int(found[1]) if found else 0
        if found is None or number < 1 or (found[2] and number > 100):
            raise UsageError(
                f"{part.strip()!r} is no stage of a rollout.",
                remedy=f"Give numbers of hosts or shares of all, e.g. --stages {DEFAULT}",
            )
        end = min(hosts, math.ceil(hosts * number / 100) if found[2] else number)
        if end > (ends[-1] if ends else 0):
            ends.append(end)
    if hosts and (not ends or ends[-1] < hosts):
        ends.append(hosts)
    return ends
