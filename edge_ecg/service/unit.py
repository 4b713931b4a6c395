"""The systemd unit, made from the configuration: what the service needs, and no more than that.

Sources: systemd.service(5), systemd.exec(5), systemd.resource-control(5), systemd.unit(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..deploy.layout import ENV_HOME, Home
from ..errors import UsageError
from .access import Access, access_for
from .schema import ServiceConfig

UNIT_NAME = "edge-ecg.service"

# Also the pause of a switch to another release. It does not grow (RestartSteps=): systemd never forgets a
# restart, so after some releases every switch would take as long as the longest.
RESTART_S = 3
_HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"))


@dataclass(frozen=True, slots=True)
class Site:
    """The machine, and whose service it is.

    Attributes
    ----------
    home:
        The folder of edge-ecg.
    user, group:
        Its owner, who runs the service.
    groups:
        The groups that exist here; None to take what an address may need for existing.
    reads:
        What else the service must be able to read: trusted keys, the Python below its runtimes.

    """

    home: Home
    user: str
    group: str
    groups: frozenset[str] | None = None
    reads: tuple[Path, ...] = field(default=())


def unit_text(config: ServiceConfig, site: Site) -> str:
    """Return the unit.

    Raises
    ------
    UsageError
        When a path cannot be written into a unit.

    """
    access = access_for(config.source.port)
    return "\n".join(
        [
            "# Made by `edge-ecg service install` from the configuration; change that, then install again.",
            *_section("Unit", _about(access)),
            *_section("Service", [*_process(config, site), *_walls(config, site, access)]),
            *_section("Install", ["WantedBy=multi-user.target"]),
        ]
    )


def _section(name: str, lines: Iterable[str]) -> Iterator[str]:
    yield from ("", f"[{name}]", *lines)
    if name == "Install":
        yield ""


def _about(access: Access) -> Iterator[str]:
    yield "Description=edge-ecg: decisions from a live ECG (research software, not a medical device)"
    yield "Documentation=https://github.com/edge-ecg/edge-ecg/blob/main/docs/service.md"
    if access.after:
        yield f"Wants={' '.join(access.after)}"
        yield f"After={' '.join(access.after)}"
    yield "# It never gives up: after three failed starts of a new release edge-ecg-start goes back to the"
    yield "# one before, and a unit that has given up would need somebody with root to be told of that."
    yield "StartLimitIntervalSec=0"


def _process(config: ServiceConfig, site: Site) -> Iterator[str]:
    service = config.service
    yield "Type=notify"
    yield "NotifyAccess=main"
    yield f"ExecStart={_word(site.home.start_script)}"
    yield "ExecReload=/bin/kill -HUP $MAINPID"
    yield f"User={site.user}"
    yield f"Group={site.group}"
    yield f"WorkingDirectory={_specifiers(_plain(site.home.root))}"
    yield f"Environment={_word(f'{ENV_HOME}={_plain(site.home.root)}')}"
    yield "# Some wheels of onnxruntime report to their maker otherwise."
    yield "Environment=ORT_DISABLE_TELEMETRY=1"
    yield "SyslogIdentifier=edge-ecg"
    yield "# Every step of a start begins this time anew."
    yield f"TimeoutStartSec={service.start_timeout_s}"
    yield "TimeoutStopSec=15"
    yield "TimeoutAbortSec=10"
    yield f"WatchdogSec={service.watchdog_s}"
    yield "Restart=always"
    yield f"RestartSec={RESTART_S}"


def _walls(config: ServiceConfig, site: Site, access: Access) -> Iterator[str]:
    yield ""
    yield f"# Reach: {access.what}."
    yield f"RestrictAddressFamilies={' '.join(access.families)}"
    if not access.network:
        # Bluetooth sockets exist in the first network namespace alone; there, no IP packet passes.
        yield "IPAddressDeny=any" if access.radio else "PrivateNetwork=yes"
    yield "DevicePolicy=closed"
    if access.devices:
        yield from (f"DeviceAllow={_specifiers(_plain(device))}" for device in access.devices)
    else:
        yield "PrivateDevices=yes"
    here = [group for group in access.groups if site.groups is None or group in site.groups]
    if here:
        yield f"SupplementaryGroups={here[0]}"
    yield ""
    yield from _files(config, site, access)
    yield ""
    yield from _REST


def _files(config: ServiceConfig, site: Site, access: Access) -> Iterator[str]:
    """Everything is read-only, homes are empty; what is needed of them is put back."""
    yield "ProtectSystem=strict"
    yield "ProtectHome=tmpfs"
    writes: dict[Path, bool] = {site.home.root: False}
    reads: dict[Path, bool] = dict.fromkeys((*access.reads, *site.reads), True)
    if config.record.directory is not None:
        writes[Path(config.record.directory)] = True
    if config.output.file is not None:
        writes[Path(config.output.file).parent] = True
    for file in (config.model.bundle, config.model.profile):
        if file is not None:
            reads[Path(file)] = True
    for path, optional in writes.items():
        yield f"{'BindPaths' if _is_hidden(path) else 'ReadWritePaths'}={_place(path, optional)}"
    for path, optional in reads.items():
        covered = any(path == other or other in path.parents for other in writes)
        if _is_hidden(path) and not covered:
            yield f"BindReadOnlyPaths={_place(path, optional)}"


_REST = (
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "UMask=0077",
    "LimitCORE=0",
    "KeyringMode=private",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "PrivateTmp=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "# Not ProcSubset=pid: without /proc/cpuinfo onnxruntime takes the processor for one without features.",
    "ProtectProc=invisible",
    "# Not RemoveIPC=yes: the user may be a person, whose own files in /dev/shm would go with the service.",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "# Not ~@resources: onnxruntime binds its threads to processors. What is refused is told, not killed.",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged",
    "SystemCallErrorNumber=EPERM",
)


def _is_hidden(path: Path) -> bool:
    return any(path == root or root in path.parents for root in _HIDDEN)


def _place(path: Path, optional: bool) -> str:
    """A path in a list of paths, where a colon parts source and destination, and spaces part entries."""
    text = _specifiers(_plain(path)).replace("\\", "\\\\").replace(":", "\\:")
    quoted = '"' + ("-" if optional else "") + text.replace('"', '\\"') + '"'
    return quoted if re.search(r"[\s\"'\\]", text) else ("-" if optional else "") + text


def _word(text: Path | str) -> str:
    """One word with the folder of edge-ecg in it: systemd runs no program whose path holds a quote."""
    plain = _specifiers(_plain(text))
    if re.search(r"[\"'\\]", plain):
        raise UsageError(
            f"systemd cannot run a program in a folder of this name: {text}",
            why="It holds a quotation mark or a backslash.",
            remedy=f"Name another folder by {ENV_HOME}.",
        )
    return plain if re.fullmatch(r"[A-Za-z0-9_./=@:+%-]+", plain) else f'"{plain}"'


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")


def _plain(text: Path | str) -> str:
    words = str(text)
    if re.search(r"[\x00-\x1f\x7f]", words):
        raise UsageError(
            f"The path {words!r} holds a control character.", remedy="Give the folder another name."
        )
    return words
