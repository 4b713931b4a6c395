"""Putting a bundle on one device: look, bring the runtime, bring the bundle, prove, switch, look on.

The device does all that counts (:mod:`edge_ecg.deploy.releases`): whatever happens here, or to the link, it
runs the old model or the new one, and the same call again finishes what was begun.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from ...bundle import read_bundle
from ...errors import BundleError, EdgeEcgError, GateError, RemoteError, UsageError
from .device_side import DeviceSide
from .logs import last_lines
from .probe import Probe, probe, require_usable
from .runtime import Runtime, install_runtime, make_runtime
from .ssh import Remote
from .upload import sha256_of, upload

_ADMIT_LIMIT_S = 900.0
_CALL_LIMIT_S = 120.0
# What the service may take to start, to be started again three times, and to go back.
_PATIENCE_S = 150.0
_MARGIN_BYTES = 32 << 20
_PUBLIC_KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/=]{60,200}( [^\r\n]*)?\n?")


class Listener(Protocol):
    """Who is told what goes on; all that is called may come from any thread."""

    def step(self, name: str, text: str) -> None:
        """A step has begun or ended: its name in one word, and a sentence."""

    def progress(self, name: str, done: int, total: int) -> None:
        """So many bytes of all have arrived."""

    def warn(self, text: str) -> None:
        """Something is not as it should be, and does not keep us from going on."""


@dataclass(frozen=True, slots=True)
class FlashOptions:
    """What to put on a device, and how.

    Attributes
    ----------
    bundle:
        The bundle file.
    watch_s:
        How long the service must run the new model in good health.
    engine:
        ``litert``, or ``both`` with ONNX Runtime beside it.
    wheelhouse:
        Send the runtime's packages from this folder; None: the device gets them from PyPI.
    runtime_wheel:
        Another wheel of edge-ecg than the one that is made of what runs here.
    trust:
        A public key to put among the device's trusted ones first.
    service:
        Install the service, reading from this address (empty: as configured there); None: do not.
    max_latency_ms:
        The latency gate; None: the device's own.
    allow_downgrade, again:
        Take an older version; take one that was taken back before.
    dry_run:
        Look and say what would be done.

    """

    bundle: Path
    watch_s: float = 30.0
    engine: str = "litert"
    wheelhouse: Path | None = None
    runtime_wheel: str | None = None
    trust: Path | None = None
    service: str | None = None
    max_latency_ms: float | None = None
    allow_downgrade: bool = False
    again: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Flashed:
    """What came of it: the release that counts now, the one before, and whether anything was changed.

    ``confirmed`` is True when the release has proven itself: by its golden windows alone where there is no
    service (``watched`` False), else by running in good health.
    """

    release: str
    previous: str | None
    model: str
    changed: bool
    confirmed: bool
    watched: bool
    runtime: str
    dry_run: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


class Flash:
    """One bundle for one device or many; the bundle is read and checked once, here.

    Raises
    ------
    BundleError
        When the bundle is not intact.
    UsageError
        When the key to trust is none.

    """

    def __init__(self, options: FlashOptions, folder: Path) -> None:
        self.options = options
        self._folder = folder
        self.model = read_bundle(options.bundle).name_at_sha
        self.sha256 = sha256_of(options.bundle)
        self._size = options.bundle.stat().st_size
        self._key = None if options.trust is None else _public_key(options.trust)

    def run(self, remote: Remote, listener: Listener) -> Flashed:
        """Do it on one device, over an open connection.

        Raises
        ------
        BundleError
            When the device refuses the bundle: its signature, its version, its files.
        GateError
            When the model does not compute the right thing there, is too slow, or was taken back.
        RemoteError
            When the device cannot take it, or the connection is lost.

        """
        found = probe(remote)
        runtime = make_runtime(found, self._folder, self.options.engine, self.options.runtime_wheel)
        self._look(remote, found, runtime, listener)
        if self.options.dry_run:
            return self._dry(found, runtime, listener)
        if self._key is not None:
            self._trust(remote, self._key, listener)
        device = DeviceSide(remote, found.root, runtime.id)
        if found.runs(self.sha256, runtime.id) and not self._key:
            listener.step("same", f"{found.current} is what runs there; nothing to do")
            self._service(remote, found, listener)
            return self._result(found.current, None, runtime, changed=False, watched=False)
        self._runtime(remote, found, runtime, listener)
        release = self._admit(remote, found, runtime, device, listener)
        return self._switch(remote, found, release, runtime, device, listener)

    def _look(self, remote: Remote, found: Probe, runtime: Runtime, listener: Listener) -> None:
        python = runtime.python
        name = found.board or f"{found.machine} machine"
        listener.step(
            "probe",
            f"{name}, {found.system or found.kernel}, Python {python.version[0]}.{python.version[1]}, "
            f"{found.free_bytes / 1e9:.1f} GB free; runs {found.current or 'nothing yet'}",
        )
        needed = 2 * self._size + _MARGIN_BYTES
        if runtime.id not in found.runtimes:
            needed += runtime.size_bytes()
        for warning in require_usable(remote.host, found, needed):
            listener.warn(warning)

    def _dry(self, found: Probe, runtime: Runtime, listener: Listener) -> Flashed:
        if found.runs(self.sha256, runtime.id):
            listener.step("same", f"{found.current} is what runs there; nothing would be done")
        else:
            has = runtime.id in found.runtimes
            listener.step("runtime", f"{runtime.id} {'is there' if has else 'would be installed'}")
            listener.step("upload", f"{self._size / 1e6:.1f} MB would be sent, checked and switched to")
        return self._result(found.current, None, runtime, changed=False, watched=False, dry_run=True)

    def _trust(self, remote: Remote, key: str, listener: Listener) -> None:
        assert self.options.trust is not None
        name = re.sub(r"[^A-Za-z0-9_.-]", "-", self.options.trust.name)
        script = f"""
umask 022
folder=${{EDGE_ECG_TRUSTED_KEYS:-${{XDG_CONFIG_HOME:-$HOME/.config}}/edge-ecg/trusted_keys}}
folder=${{folder%%:*}}
mkdir -p "$folder" && printf '%s\\n' {shlex.quote(key)} >"$folder/.{name}.new" \
&& sync "$folder/.{name}.new" && mv "$folder/.{name}.new" "$folder/{name}" && printf '%s' "$folder/{name}"
"""
        done = remote.run(script, timeout_s=_CALL_LIMIT_S)
        if done.returncode:
            raise RemoteError(f"{remote.host} does not take the trusted key.", why=done.words)
        listener.step("trust", f"{done.text} trusts {self.options.trust.name}")

    def _runtime(self, remote: Remote, found: Probe, runtime: Runtime, listener: Listener) -> None:
        new = install_runtime(
            remote,
            found,
            runtime,
            wheelhouse=self.options.wheelhouse,
            tell=lambda text: listener.step("runtime", text),
            progress=listener.progress,
        )
        listener.step("runtime", f"{runtime.id} is {'installed' if new else 'there already'}")

    def _admit(
        self, remote: Remote, found: Probe, runtime: Runtime, device: DeviceSide, listener: Listener
    ) -> dict[str, Any]:
        device.call("device", "init", timeout_s=_CALL_LIMIT_S)
        path = f"{found.root}/incoming/{self.sha256}.ecgb"
        words = ["device", "admit", path, *self._admit_options()]
        if found.has(self.sha256, runtime.id):
            try:
                listener.step("admit", "admitted before; checked again")
                return device.call(*words, timeout_s=_ADMIT_LIMIT_S)
            except BundleError:
                listener.warn("what lies there is damaged; sent again")
        self._upload(remote, path, listener)
        listener.step("admit", "signature, hashes, golden windows and latency are checked on the device")
        release = device.call(*words, timeout_s=_ADMIT_LIMIT_S)
        listener.step("admit", _admitted(release))
        return release

    def _admit_options(self) -> list[str]:
        words = []
        if self.options.allow_downgrade:
            words.append("--allow-downgrade")
        if self.options.max_latency_ms is not None:
            words += ["--max-latency-ms", f"{self.options.max_latency_ms:g}"]
        return words

    def _upload(self, remote: Remote, path: str, listener: Listener) -> None:
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            listener.progress("bundle", done, self._size)

        sent = upload(remote, self.options.bundle, path, advance)
        listener.step(
            "upload", f"{self._size / 1e6:.1f} MB {'sent' if sent else 'were there'}, SHA-256 equal"
        )

    def _switch(
        self,
        remote: Remote,
        found: Probe,
        admitted: dict[str, Any],
        runtime: Runtime,
        device: DeviceSide,
        listener: Listener,
    ) -> Flashed:
        name = str(admitted["release"])
        words = ["device", "switch", name, "--watch-s", f"{self.options.watch_s:g}"]
        try:
            done = device.call(*words, *(["--again"] if self.options.again else []), timeout_s=_CALL_LIMIT_S)
            previous = done.get("previous")
            watched = not done.get("confirmed")
            if watched:
                listener.step("switch", f"{name} counts, on trial; before: {previous or 'none'}")
                self._watch(device, name, listener)
            else:
                listener.step("switch", f"{name} counts; there is no service that it would have to restart")
        except GateError as error:
            raise self._with_log(remote, found, error) from None
        self._service(remote, found, listener)
        self._prune(device, listener)
        return self._result(name, previous, runtime, changed=name != found.current, watched=watched)

    def _watch(self, device: DeviceSide, name: str, listener: Listener) -> None:
        timeout_s = self.options.watch_s + _PATIENCE_S
        said = ""
        for record in device.follow("device", "watch", name, "--timeout", f"{timeout_s:g}"):
            text = _watching(record)
            if text and text != said:
                said = text
                listener.step("watch", text)

    def _with_log(self, remote: Remote, found: Probe, error: GateError) -> GateError:
        lines = last_lines(remote, found.root)
        told = "".join(f"\n       {line}" for line in lines)
        why = f"{error.why}{' Its last log lines:' + told if told else ''}"
        return GateError(error.what, why=why, remedy=error.remedy)

    def _service(self, remote: Remote, found: Probe, listener: Listener) -> None:
        if self.options.service is None:
            return
        words = ["sudo", "-n", f"{found.root}/current/runtime/bin/edge-ecg", "service", "install"]
        words += ["--user", found.user]
        words += ["--port", self.options.service] if self.options.service else []
        done = remote.run(words, timeout_s=_CALL_LIMIT_S)
        if done.returncode == 0:
            listener.step("service", "the systemd service is installed")
            return
        if "password is required" in done.words or "terminal is required" in done.words:
            by_hand = shlex.join(["ssh", "-t", remote.host, shlex.join([words[0], *words[2:]])])
            listener.warn(f"sudo wants a password there. Install the service by hand: {by_hand}")
            return
        raise RemoteError(
            f"The model counts on {remote.host}, but the service could not be installed.",
            why=done.words,
            remedy=f"By hand: ssh -t {remote.host} sudo {shlex.join(words[2:])}",
        )

    def _prune(self, device: DeviceSide, listener: Listener) -> None:
        try:
            removed = device.call("device", "prune", timeout_s=_CALL_LIMIT_S).get("removed", [])
        except EdgeEcgError as error:
            listener.warn(f"old releases were not tidied away: {error.what}")
            return
        if removed:
            listener.step("prune", f"tidied away: {', '.join(map(str, removed))}")

    def _result(
        self,
        release: str,
        previous: str | None,
        runtime: Runtime,
        *,
        changed: bool,
        watched: bool,
        dry_run: bool = False,
    ) -> Flashed:
        return Flashed(release, previous, self.model, changed, not dry_run, watched, runtime.id, dry_run)


def _public_key(path: Path) -> str:
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeError) as error:
        raise UsageError(f"The key {path} cannot be read.", why=f"{error}.") from error
    if "PRIVATE KEY" in text:
        raise UsageError(f"{path} is a private key: it stays here.", remedy=f"--trust {path}.pub")
    if _PUBLIC_KEY.fullmatch(text) is None:
        raise UsageError(
            f"{path} is no Ed25519 public key.",
            why="One line `ssh-ed25519 AAAA... comment` is expected.",
            remedy="Make a pair with `edge-ecg keygen`.",
        )
    return text.strip()


def _admitted(release: dict[str, Any]) -> str:
    found = release.get("admitted")
    admitted = found if isinstance(found, dict) else {}
    latency = admitted.get("latency")
    p90_ms = latency.get("p90_ms") if isinstance(latency, dict) else None
    speed = f", 9 of 10 windows within {p90_ms:.1f} ms" if isinstance(p90_ms, int | float) else ""
    signed = release.get("signed_by")
    return (
        f"{release['release']} is admitted: {'signed by ' + str(signed) if signed else 'unsigned'}; "
        f"golden windows hold in {admitted.get('engine', '?')}{speed}"
    )


def _watching(record: dict[str, Any]) -> str:
    event = record.get("event")
    if event == "trial":
        return f"on trial for {record.get('watch_s', 0):g} s; it goes on by itself if the link is cut"
    if event == "restarted":
        return f"the service was started again (process {record.get('pid')})"
    if event == "confirmed":
        return "confirmed"
    if record.get("error"):
        return f"error: {record['error']}"
    if not record.get("running"):
        return "the service is being restarted"
    return "ready" if record.get("ready") else "starting"


Tell = Callable[[dict[str, Any]], None]


def as_line(record: dict[str, Any]) -> str:
    """Return a record as a line of JSON."""
    return json.dumps(record, ensure_ascii=False)
