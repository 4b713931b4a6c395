"""A test device: a home of edge-ecg behind a real sshd, and what must hold there after whatever happened."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge_ecg.bundle import TrustedKeys, read_bundle, write_bundle
from edge_ecg.cli import main
from edge_ecg.deploy.layout import Home
from edge_ecg.deploy.releases import Releases
from edge_ecg.deploy.status import device_status

from .cut_proxy import CutProxy
from .sshd import Client, Sshd, User

DEVICE_PYTHON = Path("/usr/bin/python3")


def variant(source: Path, path: Path, version: str) -> Path:
    """The same model as another version, with one engine (to be quick)."""
    bundle = read_bundle(source, trust=TrustedKeys())
    manifest = replace(
        bundle.manifest, version=version, engines={"litert-int8": "encoder.int8.tflite"}, files={}
    )
    used = {name: data for name, data in bundle.contents.items() if not name.endswith(".onnx")}
    write_bundle(path, manifest, used)
    return path


def unpack_runtime(folder: Path, wheels: Sequence[Path], *, more: Path) -> None:
    """Lay a runtime down as pip would, without running it: quick, and the same for the code under test."""
    subprocess.run([str(DEVICE_PYTHON), "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    script = folder / "bin" / "edge-ecg"
    script.write_text(f"#!{folder}/bin/python\nimport sys\nfrom edge_ecg.cli import main\nsys.exit(main())\n")
    script.chmod(0o755)
    shutil.copy(more, site / "kill_at.py")
    (site / "kill_at.pth").write_text("import kill_at\n")
    # Imported once as root, so that what is compiled is kept.
    home = folder.parent / "warm-up"
    for words in (["device", "status"], ["device", "prune"], ["bench", "--help"]):
        env = {**os.environ, "EDGE_ECG_HOME": str(home), "PYTHONPATH": ""}
        subprocess.run([str(script), *words], check=True, capture_output=True, env=env)
    shutil.rmtree(home, ignore_errors=True)
    (folder / ".complete").touch()


@dataclass
class Device:
    """One device: ``home.root`` is its EDGE_ECG_HOME, ``name`` what the client calls it."""

    name: str
    home: Home
    sshd: Sshd
    client: Client
    kill_plan: Path
    proxies: list[CutProxy] = field(default_factory=list)

    def argv(self, verb: str, *words: str, host: str | None = None) -> list[str]:
        return [verb, host or self.name, *words, "--batch", "--ssh-config", str(self.client.config)]

    def call(self, verb: str, *words: str, host: str | None = None) -> int:
        """Run a verb in this process; its exit code."""
        return main(self.argv(verb, *words, host=host))

    def start(self, verb: str, *words: str) -> subprocess.Popen[str]:
        """Run a verb as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "edge_ecg", *self.argv(verb, *words)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def behind(self, proxy: CutProxy, *more: str) -> str:
        """Name the device once more, behind a proxy."""
        name = f"{self.name}-{proxy.port}"
        self.client.add(name, self.sshd, *more, port=proxy.port, alias=self.name)
        return name

    def kill_at(self, change: int | None) -> None:
        """Let the device's processes die before this change of the next flash; None: let them live."""
        counter = Path(f"{self.kill_plan}.count")
        counter.unlink(missing_ok=True)
        if change is None:
            self.kill_plan.unlink(missing_ok=True)
            return
        self.kill_plan.write_text(str(change))
        self.kill_plan.chmod(0o644)
        counter.write_text("0")
        counter.chmod(0o666)

    @property
    def changes(self) -> int:
        """How many changes were counted since :meth:`kill_at`."""
        return int(Path(f"{self.kill_plan}.count").read_text() or 0)

    def running(self) -> str | None:
        """What counts there, after checking that it is whole: status tells it, and its bundle verifies."""
        status = device_status(self.home)
        current = Releases(self.home).current()
        if current is None:
            assert not os.path.lexists(self.home.current), "current leads nowhere"
            assert status["release"] is None
            return None
        current.check()
        bundle = read_bundle(self.home.current / "model.ecgb", trust=TrustedKeys())
        assert status["release"] == current.name
        assert status["model"] == bundle.name_at_sha
        return current.version


def make_user_tree(source: Path, target: Path, user: User) -> None:
    """Copy a home, links as links, and give it to the user."""
    shutil.copytree(source, target, symlinks=True)
    subprocess.run(["chown", "-hR", user.name, str(target)], check=True)
