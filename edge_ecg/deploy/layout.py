"""Where edge-ecg keeps what it has on a device: one folder, and the name of everything in it.

current, previous      links to the release that counts, and to the one to fall back to
releases/              one folder a release: the bundle, what was found out about it, its runtime
runtimes/              one virtual environment a runtime; complete ones hold the file ``.complete``
incoming/              uploads, not believed yet
state/                 what is known: journal, trial, bad releases, health
config.toml            settings of the service
bin/edge-ecg-start     what the service manager starts
lock                   held by whoever changes any of this
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..home import user_folder

ENV_HOME = "EDGE_ECG_HOME"
ENV_RELEASE = "EDGE_ECG_RELEASE"

BUNDLE_NAME = "model.ecgb"
RELEASE_NAME = "release.json"
RUNTIME_NAME = "runtime"
COMPLETE_NAME = ".complete"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of edge-ecg on a device.

    Attributes
    ----------
    root:
        Its absolute path.

    """

    root: Path

    @classmethod
    def default(cls, env: Mapping[str, str] | None = None) -> Self:
        """Return the folder that ``EDGE_ECG_HOME`` names, else ``~/.local/share/edge-ecg``.

        Unlike :func:`edge_ecg.home.home_folder` it knows no ``XDG_DATA_HOME``: a shell over ssh, the service
        and a terminal on the device must find the same releases, whatever the environment of each.

        Raises
        ------
        UsageError
            When the user has no home folder and the variable names none.

        """
        known = os.environ if env is None else env
        chosen = known.get(ENV_HOME)
        if chosen:
            return cls(Path(os.path.abspath(chosen)))
        return cls(user_folder(known) / ".local/share/edge-ecg")

    @property
    def current(self) -> Path:
        """The link to the release that counts."""
        return self.root / "current"

    @property
    def previous(self) -> Path:
        """The link to the release to fall back to."""
        return self.root / "previous"

    @property
    def releases(self) -> Path:
        """One folder a release."""
        return self.root / "releases"

    @property
    def runtimes(self) -> Path:
        """One virtual environment a runtime."""
        return self.root / "runtimes"

    @property
    def incoming(self) -> Path:
        """Uploads: ``SHA256.ecgb.part`` while they last, then ``SHA256.ecgb``; wheels in ``wheels``."""
        return self.root / "incoming"

    @property
    def wheels(self) -> Path:
        """Uploaded wheels."""
        return self.incoming / "wheels"

    @property
    def config(self) -> Path:
        """Settings of the service."""
        return self.root / "config.toml"

    @property
    def start_script(self) -> Path:
        """What the service manager starts."""
        return self.root / "bin" / "edge-ecg-start"

    @property
    def lock(self) -> Path:
        """Held (flock) by whoever changes anything here."""
        return self.root / "lock"

    @property
    def state(self) -> Path:
        """The folder of all that follows."""
        return self.root / "state"

    @property
    def journal(self) -> Path:
        """Every step of every deployment, one JSON object a line."""
        return self.state / "journal.jsonl"

    @property
    def trial(self) -> Path:
        """Which release is on trial; see :class:`edge_ecg.deploy.releases.Trial`."""
        return self.state / "trial.json"

    @property
    def starts(self) -> Path:
        """How often the release on trial was started: a number in plain text, and the release's name."""
        return self.state / "starts"

    @property
    def highest(self) -> Path:
        """The highest version of each model that was ever confirmed here."""
        return self.state / "highest.json"

    @property
    def bad(self) -> Path:
        """Releases that were taken back, and why."""
        return self.state / "bad.json"

    @property
    def reverting(self) -> Path:
        """Present while a release is taken back: which one, and why."""
        return self.state / "reverting.json"

    @property
    def fallbacks(self) -> Path:
        """What the start script took back: ``RELEASE SECONDS_SINCE_1970 REASON``, one a line."""
        return self.state / "fallbacks"

    @property
    def health(self) -> Path:
        """What the running service says of itself; see :mod:`edge_ecg.deploy.health`."""
        return self.state / "health.json"

    @property
    def service(self) -> Path:
        """Present while a service is installed; see :mod:`edge_ecg.deploy.health`."""
        return self.state / "service.json"

    def release(self, name: str) -> Path:
        """Return the folder of a release."""
        return self.releases / name

    def runtime(self, runtime_id: str) -> Path:
        """Return the folder of a runtime; an absolute path stands for itself."""
        return self.runtimes / runtime_id
