"""edge-ecg: ECG stress and emotion recognition, from recordings to a Raspberry Pi.

    import edge_ecg
    model = edge_ecg.load_model()
    for record in edge_ecg.decide("sim:", model):
        print(record.to_json())

What stands in ``__all__`` is public; the rest may change. Names are imported when first used, so that
``import edge_ecg`` costs nothing and pulls no runtime, radio or screen.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .errors import (
        BundleError,
        DataError,
        DeviceError,
        EdgeEcgError,
        GateError,
        RemoteError,
        UsageError,
    )
    from .model import Model, load_model
    from .profile import Profile, load_profile
    from .records import DecisionRecord, EndRecord, EventRecord, Record, StartRecord, TaskDecision
    from .samples import SampleBlock, SourceEvent, SourceInfo
    from .session import decide
    from .sources import Source, open_source

__all__ = [
    "BundleError",
    "DataError",
    "DecisionRecord",
    "DeviceError",
    "EdgeEcgError",
    "EndRecord",
    "EventRecord",
    "GateError",
    "Model",
    "Profile",
    "Record",
    "RemoteError",
    "SampleBlock",
    "Source",
    "SourceEvent",
    "SourceInfo",
    "StartRecord",
    "TaskDecision",
    "UsageError",
    "__version__",
    "decide",
    "load_model",
    "load_profile",
    "open_source",
]

_MODULES = {
    "errors": (
        "BundleError",
        "DataError",
        "DeviceError",
        "EdgeEcgError",
        "GateError",
        "RemoteError",
        "UsageError",
    ),
    "model": ("Model", "load_model"),
    "profile": ("Profile", "load_profile"),
    "records": ("DecisionRecord", "EndRecord", "EventRecord", "Record", "StartRecord", "TaskDecision"),
    "samples": ("SampleBlock", "SourceEvent", "SourceInfo"),
    "session": ("decide",),
    "sources": ("Source", "open_source"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
