"""The unit on a real systemd, process 1 of namespaces of its own: minutes, root, and asked for by name.

EDGE_ECG_SYSTEMD_BOX=1 pytest -m slow tests/edge_ecg/service/test_systemd.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from edge_ecg import __file__ as package

HERE = Path(__file__).parent / "systemd_box"
RELEASE = """
import sys
from pathlib import Path
from edge_ecg.deploy import Home, Releases
releases = Releases(Home.default())
release = releases.create(Path(sys.argv[1]), sys.argv[2], {})
releases.switch(release, None if sys.argv[3] == "none" else float(sys.argv[3]))
print(release.name)
"""


def python_for_everyone() -> str:
    """Return a Python of this version that another user may run: those of pyenv may lie below /root."""
    for path in (sys.executable, "/usr/bin/python3"):
        real = Path(path).resolve()
        open_to_all = all(parent.stat().st_mode & 0o001 for parent in (real, *real.parents))
        if not open_to_all or not real.exists():
            continue
        command = [str(real), "-c", "import sys; print(sys.version_info[:2])"]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        if found == str(sys.version_info[:2]):
            return str(real)
    pytest.skip("no Python of this version can be run by another user")


@pytest.mark.slow
@pytest.mark.skipif("EDGE_ECG_SYSTEMD_BOX" not in os.environ, reason="EDGE_ECG_SYSTEMD_BOX is not set")
@pytest.mark.skipif(os.geteuid() != 0, reason="a systemd of its own takes root")
@pytest.mark.skipif(
    not Path("/lib/systemd/systemd").exists(), reason="there is no systemd: apt install systemd"
)
@pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no unshare: apt install util-linux")
@pytest.mark.timeout(600)
def test_the_service_on_a_real_systemd(tmp_path: Path, service_bundles: tuple[list[Path], Path]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for folder in (out, *out.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    (first, second), wrong = service_bundles
    for name, path in (("good1", first), ("good2", second), ("wrong", wrong)):
        shutil.copy(path, out / f"{name}.ecgb")
    root = Path(package).parent.parent
    paths = [str(root), str(root / "firmware_bridge"), sysconfig.get_path("purelib")]
    if any(
        not parent.stat().st_mode & 0o001 for path in paths for parent in (Path(path), *Path(path).parents)
    ):
        pytest.skip("the packages lie where another user may not read them")
    begin = f"import sys\nsys.path[:0] = {paths!r}\n"
    (out / "python.txt").write_text(
        f"#!{python_for_everyone()}\n{begin}from edge_ecg.cli import main\nsys.exit(main())\n"
    )
    (out / "release.py").write_text(begin + RELEASE)
    shutil.copy(HERE / "payload.sh", out)
    namespaces = ["--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--mount-proc"]
    command = ["unshare", *namespaces, "--kill-child=KILL", "bash", str(HERE / "boot.sh"), str(out)]
    try:
        booted = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    except subprocess.TimeoutExpired:
        pytest.fail(
            (out / "payload.log").read_text() if (out / "payload.log").exists() else "it did not start"
        )
    if not (out / "payload.log").exists():
        pytest.skip(f"no systemd can be started here: {booted.stderr.strip()[-300:]}")
    log = (out / "payload.log").read_text()
    found = dict(line.split(": ", 1) for line in log.splitlines() if ": " in line)
    assert found["install"] == found["again"] == found["reload"] == found["uninstall"] == "0", log
    assert "%" in found["decides"]
    user, ann = found["user"].split()
    assert user == ann != "0"
    assert found["walls"] == "0000000000000000 1 2", "no capability, no new privileges, filtered system calls"
    assert found["homes"] == "/home: ann /home/ann: .local /root:"
    assert found["network"] == "lo"
    assert found["mode"] == "600"
    assert found["journal"] == "2"
    assert found["watchdog"] == "restarted"
    assert found["onnx"] == "1"
    assert found["switched"].startswith("yes ")
    assert found["golden"] == "yes 1"
    assert found["hangs"] == "yes 1"
    assert found["shm"] == "kept", "the service was stopped, and its user's files are nobody else's"
    assert found["unsigned"].startswith("1 "), "the keys that the user trusts are within the service's reach"
    assert int(found["unsigned"].split()[1]) >= 1
    assert found["unsigned_again"] == "runs"
    assert int(found["stop_ms"]) < 3000
    assert found["result"] == "success"
    assert found["left"] == "config.toml current"
