"""A Raspberry Pi 4 out of files, and reports of machines that never were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_ecg.health import Host

CPU = "sys/devices/system/cpu/cpu0/cpufreq"
PI4 = {
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0",
    "proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0",
    "proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\n\nRevision\t: d03115\n",
    "proc/meminfo": "MemTotal:        7999904 kB\nMemFree:          100 kB\n",
    "proc/loadavg": "0.31 0.20 0.10 1/200 4242\n",
    "proc/sys/kernel/arch": "aarch64\n",
    "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "sys/class/thermal/thermal_zone0/temp": "51121\n",
    f"{CPU}/scaling_governor": "ondemand\n",
    f"{CPU}/cpuinfo_min_freq": "600000\n",
    f"{CPU}/cpuinfo_max_freq": "1800000\n",
    f"{CPU}/scaling_max_freq": "1800000\n",
    f"{CPU}/scaling_cur_freq": "1500000\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
}

MakePi = Callable[..., Host]


@pytest.fixture
def pi4(tmp_path: Path) -> MakePi:
    """``pi4(files={}, commands={})``: a Pi 4 with some of its files changed; None removes one."""

    def make(files: dict[str, str | None] | None = None, commands: dict[str, str] | None = None) -> Host:
        for name, text in {**PI4, **(files or {})}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if text is not None:
                path.write_text(text, encoding="utf-8")
        known = commands or {}
        return Host(root=tmp_path, architecture="aarch64", command=lambda words: known.get(" ".join(words)))

    return make


def latency(p50_ms: float, windows: int = 1000) -> dict[str, Any]:
    return {
        "p50_ms": p50_ms, "p90_ms": 1.1 * p50_ms, "p95_ms": 1.2 * p50_ms, "p99_ms": 1.5 * p50_ms,
        "max_ms": 3.0 * p50_ms, "windows": windows,
    }  # fmt: skip


def whole(p50_ms: float) -> dict[str, Any]:
    return {
        "hop_s": 1.0, "hop": latency(2 * p50_ms, 100), "after_last_byte": latency(1.5 * p50_ms, 100),
        "model": latency(p50_ms, 100), "busy": p50_ms / 500,
    }  # fmt: skip


def make_report(p50_ms: float = 40.0, **changes: Any) -> dict[str, Any]:
    """A report of a Pi 4 with one engine; keyword arguments replace top-level values."""
    clock = {"min_mhz": 600.0, "max_mhz": 1800.0, "allowed_mhz": 1800.0, "current_mhz": 1500.0}
    conditions = {
        "load_1min": 0.1, "temperature_c": 51.1, "throttled": 0, "governor": "ondemand",
        "clock": clock,
    }  # fmt: skip
    report = {
        "type": "bench_report", "schema": 1, "time": "2026-01-31T12:00:00+00:00",
        "model": "small@0123456789ab", "model_sha256": "0123456789ab" + 52 * "0", "threads": 1,
        "machine": {
            "model": "Raspberry Pi 4 Model B Rev 1.5", "revision": "d03115", "architecture": "aarch64",
            "bits": 64, "cores": 4, "memory_mb": 8191.9, "os": "Debian GNU/Linux 12 (bookworm)",
            "system": "Linux 6.6", "python": "3.11.2", "edge_ecg": "0.1.0", "emulated": None,
            "hypervisor": None,
        },
        "before": conditions,
        "after": {**conditions, "temperature_c": 63.0, "clock": clock | {"current_mhz": 1800.0}},
        "invalid": [], "remarks": [], "absent": {}, "energy": "not measured",
        "engines": [{
            "engine": "litert-int8", "package": "ai-edge-litert 2.3.0", "backend": "XNNPACK",
            "file": "encoder.int8.tflite", "bytes": 359440, "sha256": 64 * "a",
            "golden": {
                "windows": 6, "min_cosine": 1.0, "equal": 1.0, "max_abs": 0.0, "decisions_equal": True,
            },
            "latency": latency(p50_ms), "end_to_end": whole(p50_ms), "duty": whole(1.3 * p50_ms),
            "cold_start": {
                "loaded_s": 1.2, "first_decision_s": 1.4, "rss_mb": 60.0, "peak_rss_mb": 61.0, "starts": 3,
            },
        }],
    }  # fmt: skip
    return report | changes
