"""The table of engines, and the one call that opens one."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple, Protocol, cast

from ..bundle import Bundle
from ..errors import BundleError, UsageError
from .base import Encoder, EngineSpec
from .onnx_file import check_onnx
from .tflite_file import check_tflite

AUTO = "auto"

# In the order in which "auto" tries them: the smallest runtime first, int8 before fp32.
ENGINES: dict[str, EngineSpec] = {
    "litert-int8": EngineSpec("litert", "int8"),
    "onnx-int8": EngineSpec("onnx", "int8"),
    "litert-fp32": EngineSpec("litert", "fp32"),
    "onnx-fp32": EngineSpec("onnx", "fp32"),
}


class Runtime(NamedTuple):
    """Where a runtime's adapter lives, and what to install for it."""

    module: str
    install: str


RUNTIMES: dict[str, Runtime] = {
    "litert": Runtime("edge_ecg.engines.litert", "pip install ai-edge-litert"),
    "onnx": Runtime("edge_ecg.engines.onnx", "pip install 'edge-ecg[onnx]'"),
}


_CHECKS: dict[str, Callable[[bytes], None]] = {"litert": check_tflite, "onnx": check_onnx}


class _Adapter(Protocol):
    def load(self, name: str, model: bytes, *, threads: int) -> Encoder: ...


def engine_names() -> tuple[str, ...]:
    """All that ``--engine`` accepts."""
    return (AUTO, *RUNTIMES, *ENGINES)


def check_encoders(bundle: Bundle) -> None:
    """Check the file of every engine that this version knows, as its runtime's adapter does before loading.

    Raises
    ------
    BundleError
        When one asks for more than arithmetic (:mod:`.onnx_file`, :mod:`.tflite_file`).

    """
    for name, file in bundle.manifest.engines.items():
        if name in ENGINES:
            try:
                _CHECKS[ENGINES[name].runtime](bundle.read(file))
            except ValueError as error:
                raise BundleError(
                    f"The encoder {file!r} in {bundle.source} is not one that edge-ecg runs.",
                    why=f"{str(error)[0].upper()}{str(error)[1:]}.",
                    remedy="Export the bundle again.",
                ) from error


def open_encoder(bundle: Bundle, engine: str = AUTO, *, threads: int = 1) -> Encoder:
    """Load the bundle's encoder in the engine asked for.

    Parameters
    ----------
    bundle:
        A checked bundle.
    engine:
        ``auto`` (the first in the table that the bundle and this machine have), a runtime (``litert``,
        ``onnx``) or an engine's full name (``onnx-fp32``).
    threads:
        Threads for one inference. One is the default: a window takes milliseconds, and the rest of the
        machine is not ours.

    Raises
    ------
    UsageError
        When there is no such engine, or no package here that runs it.
    BundleError
        When the bundle has no file for it, the runtime refuses the file, or its embeddings have another
        length than the manifest says.

    """
    if engine not in engine_names():
        raise UsageError(
            f"There is no engine {engine!r}.", remedy=f"Choose one of {', '.join(engine_names())}."
        )
    wanted = [name for name, spec in ENGINES.items() if engine in (AUTO, spec.runtime, name)]
    present = [name for name in wanted if name in bundle.manifest.engines]
    if not present:
        raise BundleError(
            f"The bundle {bundle.source} holds no encoder for the engine {engine!r}.",
            why=f"It was exported for {', '.join(bundle.manifest.engines) or 'no engine at all'}.",
            remedy="Choose one of those with --engine, or export the bundle again.",
        )
    missing: list[str] = []
    for name in present:
        runtime = RUNTIMES[ENGINES[name].runtime]
        try:
            adapter = cast(_Adapter, import_module(runtime.module))
            encoder = adapter.load(name, bundle.read(bundle.manifest.engines[name]), threads=threads)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("edge_ecg"):
                raise
            missing.append(runtime.install)
            continue
        _check_embedding(bundle, encoder)
        return encoder
    raise UsageError(
        f"No package is installed here that runs the engine {engine!r}.",
        remedy=" or ".join(dict.fromkeys(missing)),
    )


def _check_embedding(bundle: Bundle, encoder: Encoder) -> None:
    wanted = bundle.manifest.encoder.embedding
    if encoder.embedding != wanted:
        raise BundleError(
            f"The encoder {encoder.name!r} in {bundle.source} does not fit.",
            why=f"It makes {encoder.embedding} values of a window; the manifest says {wanted}.",
            remedy="Export the bundle again.",
        )
