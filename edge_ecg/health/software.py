"""Python, the packages, and the model that comes along."""

from __future__ import annotations

import re

from ..errors import DeviceError, EdgeEcgError
from .check import Check, fail, ok, unknown, warn
from .host import Host

_PYTHON_MIN, _PYTHON_TESTED = (3, 11), (3, 13)
_VENV = "sudo apt install python3-venv && python3 -m venv ~/edge-ecg && ~/edge-ecg/bin/pip install edge-ecg"
# The least versions that the package itself asks for.
_NEEDED = {
    "numpy": "1.24",
    "samplerate": "0.2.4",
    "pyserial": "3.5",
    "rich": "13.7",
    "cryptography": "42.0",
}
_ENGINES = ("ai-edge-litert", "tflite-runtime", "onnxruntime")
_REINSTALL = "sudo apt install libstdc++6 && pip install --force-reinstall edge-ecg"
# Dies with an illegal instruction on the Cortex-A72 of a Pi 4.
_BAD_ONNXRUNTIME = "1.21.0"


def python(host: Host) -> Check:
    """Whether this Python is one that edge-ecg runs on."""
    version = ".".join(map(str, host.python))
    if host.python < _PYTHON_MIN:
        return fail("python", f"Python {version} is too old; edge-ecg needs 3.11 or newer.", _VENV)
    if host.python > _PYTHON_TESTED:
        return warn(
            "python",
            f"Python {version} is newer than any that edge-ecg was tested with (3.11 to 3.13).",
            "Should something fail, use python3.13 -m venv.",
        )
    return ok("python", f"Python {version}.")


def userland(host: Host) -> Check:
    """Whether Python is a 64-bit program: the inference runtimes have no wheels for 32 bits."""
    if host.pointer_bits == 64:
        return ok("64-bit", f"64-bit userland on {host.architecture}.")
    kernel = "a 64-bit kernel with " if "64" in host.architecture else ""
    return warn(
        "64-bit",
        f"This is {kernel}a 32-bit userland, for which the default inference engine is not published.",
        "Install Raspberry Pi OS (64-bit), or: pip install 'edge-ecg[tflite-legacy]' under Python 3.11",
    )


def packages(host: Host) -> Check:
    """Whether what edge-ecg imports is there and new enough."""
    versions = {name: host.package(name) for name in (*_NEEDED, "bleak")}
    wrong = [
        f"{name} {version or 'is missing'}{f' (needs {_NEEDED[name]})' if version else ''}"
        for name, version in versions.items()
        if name in _NEEDED and (version is None or _numbers(version) < _numbers(_NEEDED[name]))
    ]
    if wrong:
        return fail("packages", f"Not as needed: {', '.join(wrong)}.", "pip install --upgrade edge-ecg")
    listed = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return ok("packages", f"{listed}.")


def engine(host: Host) -> Check:
    """Whether something is installed that runs the encoder, and not a release that crashes."""
    found = {name: version for name in _ENGINES if (version := host.package(name)) is not None}
    if found.get("onnxruntime") == _BAD_ONNXRUNTIME:
        return (fail if host.architecture in ("aarch64", "arm64") else warn)(
            "engine",
            f"onnxruntime {_BAD_ONNXRUNTIME} dies with an illegal instruction on a Raspberry Pi 4.",
            f"pip install --upgrade 'onnxruntime!={_BAD_ONNXRUNTIME}'",
        )
    if not found:
        return fail("engine", "No inference engine is installed.", "pip install ai-edge-litert")
    return ok("engine", f"{', '.join(f'{name} {version}' for name, version in found.items())}.")


def lsl(host: Host) -> Check | None:
    """Whether the optional package for LSL streams has the library that it wraps."""
    version = host.package("pylsl")
    if version is None:
        return None
    try:
        return ok("LSL", f"pylsl {version} with liblsl {host.liblsl()}.")
    except DeviceError as error:
        return warn("LSL", f"{error.what} {error.why}".strip(), error.remedy)


def model(host: Host) -> Check:
    """Whether the bundled model is whole and computes here what it computed where it was made."""
    if host.package("onnxruntime") == _BAD_ONNXRUNTIME:
        return unknown("model", "Not tried: the installed onnxruntime could end this program.")
    try:
        from ..bench.agreement import check_engine
        from ..bundle import Golden
        from ..model import load_model

        loaded = load_model()
        agreement = check_engine(loaded, Golden.from_bundle(loaded.bundle))
    except EdgeEcgError as error:
        return fail("model", f"{error.what} {error.why}".strip(), error.remedy)
    except (ImportError, OSError) as error:
        # NumPy wraps what happened into a page of advice.
        reason = error.__cause__ or error
        return fail("model", f"A package cannot be loaded: {reason}.", _REINSTALL)
    if not agreement.passed:
        return fail(
            "model",
            f"{loaded.name_at_sha} in {loaded.engine} computes something else than where it was made "
            f"(cosine {agreement.min_cosine:.4f}).",
            "edge-ecg bench, and try another engine: pip install 'edge-ecg[onnx]'",
        )
    return ok(
        "model",
        f"{loaded.name_at_sha} is whole, and {agreement.windows} golden windows agree in {loaded.engine}.",
    )


def trusted_keys(host: Host) -> Check:
    """Whose bundles are run here; whether that can be told at all."""
    from ..bundle import TrustedKeys

    try:
        count = len(TrustedKeys.of_machine().keys)
    except EdgeEcgError as error:
        return fail("trusted keys", f"{error.what} {error.why}".strip(), error.remedy)
    if not count:
        return ok("trusted keys", "None: bundles are run whether they are signed or not.")
    return ok("trusted keys", f"{count}: a bundle is run only if one of them has signed it.")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
