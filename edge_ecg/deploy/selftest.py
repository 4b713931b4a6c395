"""The golden windows and the time they take, in one engine, in a process of its own.

``python -m edge_ecg.deploy.selftest BUNDLE ENGINE ROUNDS`` prints JSON lines: first the package that is about
to be loaded (should it take the process down, its name is known), then what was found.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..bench.agreement import MIN_COSINE, check_engine
from ..bench.latency import interleaved
from ..bundle import Golden, read_bundle
from ..engines import ENGINES
from ..errors import EdgeEcgError, UsageError
from ..model import load_heads, open_model

_WARM_UP = 2

PACKAGES = {"litert": ("ai-edge-litert", "tflite-runtime"), "onnx": ("onnxruntime",)}


def main(arguments: Sequence[str]) -> int:
    """Run the self-test of one engine and return 0; what came out of it stands on stdout."""
    path, engine, rounds = arguments[0], arguments[1], int(arguments[2])
    _say({"package": _package(engine)})
    try:
        _say(_look(path, engine, rounds))
    except UsageError as error:
        _say({"outcome": "absent", "why": error.remedy})
    except EdgeEcgError as error:
        _say({"outcome": "failed", "why": f"{error.what} {error.why}".strip()})
    return 0


def _look(path: str, engine: str, rounds: int) -> dict[str, Any]:
    bundle = read_bundle(path)
    golden = Golden.from_bundle(bundle)
    model = open_model(bundle, engine, load_heads(bundle))
    agreement = check_engine(model, golden)
    found = {f"golden_{name}": value for name, value in asdict(agreement).items()}
    if not agreement.passed:
        why = (
            f"It does not compute here what it computed where it was made: lowest cosine with the golden "
            f"embeddings {agreement.min_cosine:.5f}, at least {MIN_COSINE} is asked; "
            f"decisions {'equal' if agreement.decisions_equal else 'differ'}."
        )
        return {"outcome": "failed", "why": why, **found}
    timed = interleaved({engine: model.encoder}, golden.windows, rounds=rounds, warm_up=_WARM_UP)[engine]
    latency = {name: value for name, value in asdict(timed).items() if name != "windows"}
    return {"outcome": "passed", **found, **latency}


def _package(engine: str) -> str:
    for name in PACKAGES[ENGINES[engine].runtime]:
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return PACKAGES[ENGINES[engine].runtime][0]


def _say(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
