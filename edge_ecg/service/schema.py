"""Every key of the configuration: its section, kind, default and meaning.

All else is made from this table: the checker, the file that ``config init`` writes, and the reference in
docs/service.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from .values import ADDRESS, DEVICE, ENGINE, PATH, Kind, Value, number, one_number_of, one_of, whole

LEVELS = ("error", "warning", "notice", "info", "debug")
_KEY = "edge_ecg key"


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes
    ----------
    section, name:
        ``[section]`` and ``name = ...``.
    kind:
        What its value may be.
    default:
        None where leaving it out means something that no value says.
    unset:
        What leaving it out means, where ``default`` is None.
    meaning:
        One sentence or two.
    example:
        A value for the commented line of a key without a default.
    in_unit:
        Whether the systemd unit depends on it: after a change, ``service install`` is to be run again.

    """

    section: str
    name: str
    kind: Kind
    default: Value | None
    meaning: str
    unset: str
    example: Value | None
    in_unit: bool

    @property
    def path(self) -> str:
        """``section.name``."""
        return f"{self.section}.{self.name}"


def _key(
    kind: Kind,
    meaning: str,
    *,
    default: Value | None = None,
    unset: str = "",
    example: Value | None = None,
    in_unit: bool = False,
) -> Any:
    """Return a dataclass field that carries its own description."""
    return field(default=default, metadata={_KEY: (kind, default, meaning, unset, example, in_unit)})


@dataclass(frozen=True, slots=True)
class SourceSection:
    """Where samples come from."""

    port: str | None = _key(
        ADDRESS,
        "The sensor. A port, or bt:ADDRESS, ble:NAME, lsl:NAME, socket://HOST:PORT; sim: and file:/PATH to "
        "try it without one.",
        unset="the one device that is plugged in",
        example="/dev/ttyUSB0",
        in_unit=True,
    )
    device: str | None = _key(
        DEVICE, "What kind of device is behind a port.", unset="found out", example="shimmer3"
    )


@dataclass(frozen=True, slots=True)
class ModelSection:
    """What decides, for whom, and how often."""

    bundle: str | None = _key(
        PATH,
        "A bundle to use instead of the release's. For trying out: `flash` and `rollback` then change "
        "nothing but the runtime.",
        unset="the model of the release that `edge-ecg flash` made current",
        example="/home/ann/other.ecgb",
        in_unit=True,
    )
    engine: str = _key(ENGINE, "What runs the encoder.", default="auto")
    hop_s: float = _key(number(0.1, 60, "seconds"), "Time between decisions.", default=1.0)
    context_s: float | None = _key(
        number(0, 3600, "seconds"),
        "Decisions are averaged over the last so many seconds; 0: each window alone.",
        unset="what the model says",
        example=30.0,
    )
    notch_hz: int | None = _key(
        one_number_of(50, 60), "Remove mains hum of so many Hz.", unset="what the model says", example=50
    )
    profile: str | None = _key(
        PATH,
        "A personal baseline, as `edge-ecg enrol` makes one.",
        unset="no baseline",
        example="/home/ann/.local/share/edge-ecg/profile.json",
        in_unit=True,
    )


@dataclass(frozen=True, slots=True)
class RecordSection:
    """Keeping the samples. An ECG identifies a person: nothing is kept unless a directory is named."""

    directory: str | None = _key(
        PATH,
        "Keep the samples in files ecg-DATE-TIME.csv in this folder, readable by the service's user alone.",
        unset="nothing is recorded",
        example="/home/ann/ecg",
        in_unit=True,
    )
    rotate_minutes: float = _key(
        number(1, 1440, "minutes"), "A new file after so many minutes of signal.", default=60.0
    )
    limit_mb: int = _key(
        whole(1, 1_000_000, "MB"),
        "All recordings in the folder together hold no more than this.",
        default=1000,
    )
    when_full: str = _key(
        one_of("stop", "oldest"),
        "At the limit: stop recording (decisions go on), or delete the oldest of these files.",
        default="stop",
    )
    min_free_mb: int = _key(
        whole(0, 1_000_000, "MB"),
        "Stop recording (decisions go on) while the disk has less room than this.",
        default=200,
    )


@dataclass(frozen=True, slots=True)
class OutputSection:
    """Where decisions go."""

    journal: str = _key(
        one_of("events", "changes", "decisions", "records"),
        "What the log gets. events: what happens to the device and the service. changes: also a decision "
        "when it is another one than before, and once a minute. decisions: also every decision. records: "
        "every record as a line of JSON. The ECG itself never.",
        default="changes",
    )
    file: str | None = _key(
        PATH,
        "Append every record as a line of JSON to this file, readable by the service's user alone.",
        unset="no file",
        example="/home/ann/decisions.jsonl",
        in_unit=True,
    )
    file_limit_mb: int = _key(
        whole(1, 100_000, "MB"),
        "The file is renamed to FILE.1 (and the one before deleted) when it is larger.",
        default=50,
    )


@dataclass(frozen=True, slots=True)
class ServiceSection:
    """The process itself."""

    log_level: str = _key(one_of(*LEVELS), "Nothing less important than this is logged.", default="info")
    watchdog_s: int = _key(
        whole(10, 600, "seconds"),
        "systemd restarts the service when it has not shown for so long that it works.",
        default=30,
        in_unit=True,
    )
    start_timeout_s: int = _key(
        whole(20, 1800, "seconds"),
        "The longest that loading the model and its self-test may take.",
        default=120,
        in_unit=True,
    )


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """The whole configuration; what it is without any file is what each default says."""

    source: SourceSection = field(default_factory=SourceSection)
    model: ModelSection = field(default_factory=ModelSection)
    record: RecordSection = field(default_factory=RecordSection)
    output: OutputSection = field(default_factory=OutputSection)
    service: ServiceSection = field(default_factory=ServiceSection)


SECTIONS: dict[str, type[Any]] = {
    "source": SourceSection,
    "model": ModelSection,
    "record": RecordSection,
    "output": OutputSection,
    "service": ServiceSection,
}


def keys(section: str | None = None) -> Iterator[Key]:
    """Every key in the order of the file, or those of one section."""
    for name in SECTIONS if section is None else (section,):
        for one in fields(SECTIONS[name]):
            kind, default, meaning, unset, example, in_unit = one.metadata[_KEY]
            yield Key(name, one.name, kind, default, meaning, unset, example, in_unit)


def about(section: str) -> str:
    """What a section is about, in one line."""
    return (SECTIONS[section].__doc__ or "").strip()
