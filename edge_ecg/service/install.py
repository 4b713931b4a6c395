"""``edge-ecg service install`` and ``uninstall``: each step is said first, and may be done again."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..deploy.health import remove_service, write_service
from ..deploy.layout import Home
from ..deploy.start_script import install_start_script
from ..errors import UsageError
from ..pipeline import utc_now
from ..records import utc_text
from .access import access_for
from .account import Account, acting_as, existing_groups
from .config import load_config, parse_config
from .render import commented_file, write_new
from .schema import ServiceConfig
from .systemd import Run, run_command, systemctl
from .unit import UNIT_NAME, Site, unit_text

UNIT_FOLDER = Path("/etc/systemd/system")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Installer:
    """Puts the service on this machine, and takes it away.

    Attributes
    ----------
    home, account:
        The folder of edge-ecg and its owner.
    say:
        Is told each step in words.
    dry_run:
        Say everything, do nothing.
    unit_folder, run:
        Where units lie, and what runs ``systemctl``.

    """

    home: Home
    account: Account
    say: Say
    dry_run: bool = False
    unit_folder: Path = UNIT_FOLDER
    run: Run = field(default=run_command)

    @property
    def unit_path(self) -> Path:
        """Where the unit is."""
        return self.unit_folder / UNIT_NAME

    def install(self, port: str | None = None) -> None:
        """Write the configuration where there is none, the start script and the unit; enable and start it.

        Parameters
        ----------
        port:
            For the new configuration: where samples come from.

        Raises
        ------
        UsageError
            When this is not root, there is no systemd, or the configuration has problems.

        """
        self._require_root("install")
        systemctl(self.run, "--version")  # before anything is written: whether there is a systemd
        config = self.config(port)
        unit = unit_text(config, self.site())
        self._groups(config)
        if not self.home.config.exists():
            self._step(
                f"write {self.home.config}, as {self.account.name}",
                lambda: write_new(self.home.config, _first_config(port)),
                own=True,
            )
        self._step(
            f"write {self.home.start_script}, as {self.account.name}",
            lambda: install_start_script(self.home),
            own=True,
        )
        self._step(f"write {self.unit_path}", lambda: self._write_unit(unit))
        self._systemctl("daemon-reload")
        marker = {"manager": "systemd", "unit": UNIT_NAME, "installed": utc_text(utc_now())}
        self._step(
            f"note in {self.home.service} that there is a service",
            lambda: write_service(self.home, marker),
            own=True,
        )
        self._systemctl("enable", UNIT_NAME)
        if self.home.current.exists():
            self._systemctl("restart", UNIT_NAME)
        else:
            self.say("there is no release yet, so nothing is started: edge-ecg flash puts one here")

    def uninstall(self) -> None:
        """Stop and remove the service; the folder of edge-ecg, with releases and configuration, stays.

        Raises
        ------
        UsageError
            When this is not root, or there is no systemd.

        """
        self._require_root("uninstall")
        if self.unit_path.exists():
            self._systemctl("disable", "--now", UNIT_NAME)
            self._step(f"remove {self.unit_path}", self.unit_path.unlink)
            self._systemctl("daemon-reload")
        else:
            self.say(f"there is no {self.unit_path}")
        if self.home.service.exists():
            self._step(f"remove {self.home.service}", lambda: remove_service(self.home), own=True)
        self.say(f"{self.home.root} is left as it is")

    def config(self, port: str | None = None) -> ServiceConfig:
        """Return the configuration that is there, or would be written; raises as ``load_config``."""
        if not self.home.config.exists():
            return parse_config(_first_config(port), self.home.config)
        found = load_config(self.home.config)
        if port is not None and port != found.source.port:
            raise UsageError(
                f"{self.home.config} is there already, and names the port {found.source.port or '(any)'}.",
                remedy=f'Change source.port there to "{port}", and leave --port out.',
            )
        return found

    def site(self) -> Site:
        """What the unit must know of this machine."""
        return Site(
            home=self.home,
            user=self.account.name,
            group=self.account.group,
            groups=existing_groups(),
            reads=(*_trusted_keys(self.account), *_runtimes(self.home)),
        )

    # -- steps -----------------------------------------------------------------------------------------

    def _require_root(self, verb: str) -> None:
        if not self.dry_run and os.geteuid() != 0:
            raise UsageError(
                f"`edge-ecg service {verb}` changes {self.unit_folder}, which takes root.",
                remedy=f'sudo "$(command -v edge-ecg)" service {verb}   (--dry-run shows what it does)',
            )

    def _groups(self, config: ServiceConfig) -> None:
        wanted = access_for(config.source.port).groups
        if wanted and not existing_groups().intersection(wanted):
            self.say(
                f"note: there is no group {' or '.join(wanted)} here; {self.account.name} itself must be "
                "allowed to open the device"
            )

    def _systemctl(self, *words: str) -> None:
        self._step(f"systemctl {' '.join(words)}", lambda: systemctl(self.run, *words))

    def _step(self, what: str, do: Callable[[], object], *, own: bool = False) -> None:
        self.say(f"would {what}" if self.dry_run else what)
        if self.dry_run:
            return
        if own:
            with acting_as(self.account):
                do()
        else:
            do()

    def _write_unit(self, text: str) -> None:
        half = self.unit_path.with_name(f".{UNIT_NAME}.part")
        try:
            half.write_text(text, encoding="utf-8")
            half.chmod(0o644)
            half.replace(self.unit_path)
        except OSError as error:
            raise UsageError(
                f"The unit {self.unit_path} cannot be written.", why=f"{error.strerror or error}."
            ) from error


def _first_config(port: str | None) -> str:
    return commented_file({} if port is None else {"source.port": port})


def _trusted_keys(account: Account) -> tuple[Path, ...]:
    """Without them the service would take every bundle for one that nobody need have signed."""
    return (account.folder / ".config/edge-ecg",)


def _runtimes(home: Home) -> tuple[Path, ...]:
    """Where runtimes lie that are not below the home, and the Pythons that they were made with (PEP 405)."""
    found: dict[Path, None] = {}
    links = home.releases.glob("*/runtime")
    for runtime in sorted({*home.runtimes.glob("*"), *(link.resolve() for link in links)}):
        found[runtime] = None
        config = runtime / "pyvenv.cfg"
        lines = config.read_text(encoding="utf-8", errors="replace").splitlines() if config.is_file() else []
        for line in lines:
            name, _, value = line.partition("=")
            if name.strip() == "home" and Path(value.strip()).is_absolute():
                found[Path(value.strip()).parent] = None
    return tuple(path for path in found if home.root.resolve() not in path.parents)
