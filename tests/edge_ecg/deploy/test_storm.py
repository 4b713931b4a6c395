"""Several programs change one home at once while another one looks: it always sees a whole release."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_ecg.deploy import Home, Releases
from edge_ecg.deploy.start_script import install_start_script
from edge_ecg.errors import DataError

from .tiny import at

_ROOT = Path(__file__).parents[3]

_CHANGE = """
import os, random, subprocess, sys
from pathlib import Path
from edge_ecg.deploy import Home, Releases
from edge_ecg.errors import EdgeEcgError
home, bundles, seed = Home(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
os.environ["EDGE_ECG_HOME"] = str(home.root)
draw = random.Random(seed)
releases = Releases(home)
done = 0
for _ in range(40):
    what = draw.choice(["create", "switch", "trial", "confirm", "revert", "prune", "start"])
    try:
        if what == "create":
            releases.create(bundles / f"{draw.randint(1, 6)}.ecgb", draw.choice(["one", "two"]), {})
        elif what in ("switch", "trial"):
            wanted = draw.choice(releases.all())
            releases.switch(wanted, 60.0 if what == "trial" else None, again=True)
        elif what == "confirm":
            releases.confirm()
        elif what == "revert":
            releases.revert("a storm")
        elif what == "prune":
            releases.prune()
        else:
            subprocess.run([home.start_script], check=True, capture_output=True)
        done += 1
    except EdgeEcgError:
        pass
print(done)
"""


@pytest.mark.slow
def test_whatever_is_changed_at_once_the_current_release_is_whole(
    home: Home, releases: Releases, bundles: Path
) -> None:
    install_start_script(home)
    for minor in (1, 2):
        releases.switch(releases.create(bundles / f"{minor}.ecgb", "one", {}))
    storm = [
        subprocess.Popen(
            [sys.executable, "-c", _CHANGE, str(home.root), str(bundles), str(seed)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=_ROOT,
        )
        for seed in range(3)
    ]  # fmt: skip
    looks = 0
    while any(one.poll() is None for one in storm):
        current = at(home).current()
        assert current is not None
        try:
            current.check()
        except DataError:
            # It may have been removed under our eyes, but only once it counted no more.
            assert at(home).current() != current
        looks += 1
    for one in storm:
        out, err = one.communicate()
        assert one.returncode == 0, err
        assert int(out) >= 20
    assert looks > 100
    releases.prune()
    found = at(home).current()
    assert found is not None
    found.check()
    assert len(releases.all()) <= 5
