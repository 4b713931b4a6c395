"""The wheels of the pinned versions that PyPI has, for ``edge_ecg/deploy/wheels.sha256``.

    python -m tests.deploy.published > edge_ecg/deploy/wheels.sha256

Run it when a pin changes. Of each project the wheels are listed that a 64-bit Linux with glibc takes, on ARM
or x86, with the Pythons below.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterable

from edge_ecg.deploy.remote.pins import BOTH, normalised, pins
from edge_ecg.deploy.remote.wheelhouse import Target

_INDEX = "https://pypi.org/simple/{}/"
_JSON = "application/vnd.pypi.simple.v1+json"
_PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
_MACHINES = ("aarch64", "x86_64")
_GLIBC = (2, 41)


def published(requirements: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of every wheel that fits, by file name, as the index tells it."""
    targets = [Target(version, machine, _GLIBC) for version in _PYTHONS for machine in _MACHINES]
    found: dict[str, str] = {}
    for requirement in requirements:
        name, _, version = requirement.partition("==")
        url = _INDEX.format(normalised(name).replace("_", "-"))
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": _JSON})) as answer:
            files = json.load(answer)["files"]
        for file in files:
            wheel = str(file["filename"])
            if wheel.split("-")[1:2] == [version] and any(target.accepts(wheel) for target in targets):
                found[wheel] = file["hashes"]["sha256"]
    return found


def main() -> int:
    """Print them as ``sha256sum`` does."""
    for wheel, digest in sorted(published(pins(BOTH)).items(), key=lambda one: one[0].lower()):
        print(f"{digest}  {wheel}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
