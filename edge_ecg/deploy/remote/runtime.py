"""Bringing edge-ecg itself to a device: its wheel, fixed versions of what it needs, one virtual environment.

A runtime's name says what is in it (version, Python, hash of everything), so a device that has it needs
nothing more, and an older one stays beside it for the releases that use it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath

from ...errors import RemoteError, UsageError
from .pins import pins, with_hashes
from .probe import Probe, Python
from .ssh import Completed, Remote
from .upload import sha256_of, upload
from .wheel import build_wheel, wheel_name
from .wheelhouse import Target, fill

#: What a runtime takes on a device's disk while it is installed: measured, with a fifth on top.
RUNTIME_BYTES = {"litert": 340 << 20, "both": 480 << 20}
_BUSY, _PIP = 75, 77
_WHEEL = re.compile(r"edge_ecg-[0-9][A-Za-z0-9.+!]*-py3-none-any\.whl")
_STEPS = {
    "step venv": "making a virtual environment",
    "step packages": "installing packages; this takes minutes on a Pi",
    "step check": "trying it",
}


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime for one Python of one device.

    ``id`` is its name below ``runtimes``; ``wheel`` the wheel of edge-ecg here; ``requirements`` all else,
    each ``NAME==VERSION``.
    """

    id: str
    wheel: Path
    requirements: tuple[str, ...]
    python: Python

    def size_bytes(self) -> int:
        """Return what it will need on the disk there."""
        return RUNTIME_BYTES["both" if any("onnxruntime" in one for one in self.requirements) else "litert"]


def own_wheel(folder: Path, given: str | None = None) -> Path:
    """Write the wheel of the running edge-ecg into a folder, unless one is given; returns its path.

    Raises
    ------
    UsageError
        When what is given is no wheel of edge-ecg.

    """
    if given is None:
        path = folder / wheel_name()
        path.write_bytes(build_wheel())
        return path
    path = Path(given)
    if not path.is_file() or _WHEEL.fullmatch(path.name) is None:
        raise UsageError(
            f"{given} is no wheel of edge-ecg.", remedy="Its name must be edge_ecg-VERSION-py3-none-any.whl."
        )
    return path


def make_runtime(python: Python, machine: str, wheel: Path, engine: str = "litert") -> Runtime:
    """Return what a Python on a machine needs to run a wheel of edge-ecg with these engines."""
    requirements = tuple(pins(engine))
    version = wheel.name.split("-")[1].replace("!", "_")
    content = "\n".join([sha256_of(wheel), python.tag, machine, *requirements])
    digest = hashlib.sha256(content.encode()).hexdigest()
    return Runtime(f"{version}-{python.tag}-{digest[:12]}", wheel, requirements, python)


def install_runtime(
    remote: Remote,
    found: Probe,
    runtime: Runtime,
    *,
    wheelhouse: Path | None = None,
    tell: Callable[[str], None] = lambda text: None,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> bool:
    """Install a runtime where it is missing; a broken or half-made one is made anew.

    Parameters
    ----------
    remote, found, runtime:
        Where, what was found there, and what it shall have.
    wheelhouse:
        Send wheels from here (what is missing in it is downloaded to it first); None: the device gets them
        from PyPI itself.
    tell:
        Called with what is being done.
    progress:
        Called with the name of what is sent, bytes that are there, and bytes in all.

    Returns
    -------
    False when it was there already.

    Raises
    ------
    RemoteError
        When it cannot be installed, saying why; the same call goes on where this one stopped.

    """
    if runtime.id in found.runtimes:
        return False
    wheels = f"{found.root}/incoming/wheels"
    # pip goes by the name of a wheel, which is the same for different contents.
    place = f"{wheels}/{sha256_of(runtime.wheel)[:12]}/{runtime.wheel.name}"
    sending = [(runtime.wheel, place)]
    if wheelhouse is not None:
        target = Target.of(runtime.python, found.machine)
        sending += [
            (path, f"{wheels}/{path.name}") for path in fill(wheelhouse, runtime.requirements, target)
        ]
    total = sum(path.stat().st_size for path, _ in sending)
    tell(f"sending {len(sending)} wheel{'s' if len(sending) > 1 else ''} ({total / 1e6:.1f} MB)")
    done = 0
    for path, there in sending:

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress("wheels", done, total)

        upload(remote, path, there, advance, mode="644")
    tell("installing from " + ("PyPI" if wheelhouse is None else "what was sent"))
    # A direct reference, since a path in a requirements file may hold no space.
    own = f"edge-ecg @ {PurePosixPath(place).as_uri()} --hash=sha256:{sha256_of(runtime.wheel)}"
    script = _script(
        root=found.root,
        rid=runtime.id,
        python=runtime.python.path,
        requirements="\n".join([*map(with_hashes, runtime.requirements), own]),
        about=json.dumps({"id": runtime.id, "requirements": runtime.requirements}),
        find=wheels if wheelhouse is not None else "",
    )
    with remote.stream(script) as lines:
        for line in lines:
            if line in _STEPS:
                tell(_STEPS[line])
    if lines.returncode:
        raise _failure(remote.host, lines.completed, offline=wheelhouse is not None)
    return True


def _script(**values: str) -> str:
    lines = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    body = files(__package__).joinpath("install_runtime.sh").read_text(encoding="utf-8")
    return "\n".join([*lines, body])


def _failure(host: str, done: Completed, *, offline: bool) -> RemoteError:
    text = done.stderr.decode(errors="replace")
    if "No space left" in text or "Errno 28" in text:
        return RemoteError(
            f"The disk of {host} became full while the runtime was installed.",
            why="What it runs now is untouched; what was half installed counts for nothing.",
            remedy="There: `sudo apt clean`, or remove old recordings. Then run the same command again.",
        )
    if done.returncode == _BUSY:
        return RemoteError(
            f"Somebody else is installing the same runtime on {host}, for a quarter of an hour already.",
            remedy=f"Look there: ssh {host} ps -ef",
        )
    if "DO NOT MATCH THE HASHES" in text:
        return RemoteError(
            f"{host} was given packages for the runtime that are not those that PyPI published.",
            why=" ".join(text.rpartition("tampered with them.")[2].split())[:300],
            remedy=f"Somebody between PyPI and {host} changes them: look at `pip config list` there, or use "
            "--wheelhouse.",
        )
    errors = [line for line in text.splitlines() if line.startswith("ERROR")]
    why = errors[-1] if errors else done.words or f"Exit code {done.returncode}."
    if done.returncode == _PIP and not offline:
        return RemoteError(
            f"pip could not install the runtime on {host}.",
            why=why,
            remedy="A device without a way to PyPI: add --wheelhouse DIR, then the packages are downloaded "
            "here and sent.",
        )
    return RemoteError(
        f"The runtime could not be installed on {host}.", why=why, remedy="Run the same command again."
    )
