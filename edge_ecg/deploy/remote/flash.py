"""Putting a bundle on one device: look, bring the runtime, bring the bundle, prove, switch, look on.

The device does all that counts (:mod:`edge_ecg.deploy.releases`): whatever happens here, or to the link, it
runs the old model or the new one, and the same call again finishes what was begun.
"""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path
from typing import Any

from ...bundle import TrustedKeys, read_bundle
from ...errors import BundleError, EdgeEcgError, GateError, RemoteError
from ..start_script import start_script
from .device_side import DeviceSide
from .flash_options import Flashed, FlashOptions, Listener
from .logs import last_lines
from .probe import Probe, probe, require_usable
from .runtime import Runtime, install_runtime, make_runtime, own_wheel
from .ssh import Remote
from .telling import admitted, watching
from .trust import read_public_key, trust
from .upload import sha256_of, upload

_ADMIT_LIMIT_S = 900.0
_CALL_LIMIT_S = 120.0
# What the service may take to start, to be started again three times, and to go back.
_PATIENCE_S = 150.0
_MARGIN_BYTES = 32 << 20
# The current one, the one before, and one more.
_KEPT_RELEASES = 3


class Flash:
    """One bundle for one device or many; the bundle is read and checked once, here.

    Raises
    ------
    BundleError
        When the bundle is not intact, or not signed by the key that is to be trusted.
    UsageError
        When that key is none.

    """

    def __init__(self, options: FlashOptions, folder: Path) -> None:
        self.options = options
        self._wheel = own_wheel(folder, options.runtime_wheel)
        # Whose signature it must bear is the device's to say.
        bundle = read_bundle(options.bundle, trust=TrustedKeys())
        self.model = bundle.name_at_sha
        self.sha256 = sha256_of(options.bundle)
        self._size = options.bundle.stat().st_size
        self._key = None if options.trust is None else read_public_key(options.trust)
        if self._key is not None and self._key.raw not in {signer.raw for signer in bundle.signers}:
            raise BundleError(
                f"{self.model} is not signed by {options.trust}.",
                why="A device that trusts that key would not start it again.",
                remedy=f"edge-ecg sign {options.bundle} --key KEY",
            )

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
        runtime = make_runtime(found.python(), found.machine, self._wheel, self.options.engine)
        self._look(remote, found, runtime, listener)
        if self.options.dry_run:
            return self._dry(found, runtime, listener)
        device = DeviceSide(remote, found.root, runtime.id)
        if found.runs(self.sha256, runtime.id):
            listener.step("same", f"{found.current} is what runs there; nothing to do")
            self._trust(remote, device, listener)
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
        same = found.runs(self.sha256, runtime.id)
        if same:
            listener.step("same", f"{found.current} is what runs there; nothing would be done")
        else:
            has = runtime.id in found.runtimes
            listener.step("runtime", f"{runtime.id} {'is there' if has else 'would be installed'}")
            listener.step("upload", f"{self._size / 1e6:.1f} MB would be sent, checked and switched to")
        return Flashed(found.current, None, self.model, False, same, False, runtime.id, dry_run=True)

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
        if found.start_script != hashlib.sha256(start_script()).hexdigest() or self.options.runtime_wheel:
            device.call("device", "init", timeout_s=_CALL_LIMIT_S)
        path = f"{found.root}/incoming/{self.sha256}.ecgb"
        words = ["device", "admit", path, "--runtime", runtime.id, *self._admit_options()]
        if found.has(self.sha256, runtime.id):
            try:
                listener.step("admit", "admitted before; checked again")
                return device.call(*words, timeout_s=_ADMIT_LIMIT_S)
            except BundleError as error:
                listener.warn(f"what lies there was refused, it is sent again: {error.what}")
        self._upload(remote, path, listener)
        listener.step("admit", "signature, hashes, golden windows and latency are checked on the device")
        try:
            release = device.call(*words, timeout_s=_ADMIT_LIMIT_S)
        except BundleError as error:
            # Nobody knows the upload by its name there.
            what = error.what.replace(path, str(self.options.bundle))
            raise BundleError(what, why=error.why, remedy=error.remedy) from None
        listener.step("admit", admitted(release))
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
        release: dict[str, Any],
        runtime: Runtime,
        device: DeviceSide,
        listener: Listener,
    ) -> Flashed:
        name = str(release["release"])
        words = ["device", "switch", name, "--watch-s", f"{self.options.watch_s:g}"]
        done = device.call(*words, *(["--again"] if self.options.again else []), timeout_s=_CALL_LIMIT_S)
        previous = done.get("previous")
        watched = not done.get("confirmed")
        if watched:
            listener.step("switch", f"{name} counts, on trial; before: {previous or 'none'}")
            try:
                self._watch(device, name, listener)
            except GateError as error:
                raise self._with_log(remote, found, error) from None
        else:
            listener.step("switch", f"{name} counts; there is no service that it would have to restart")
        self._trust(remote, device, listener)
        self._service(remote, found, listener)
        # A call costs a Zero 2 W seconds: not made where there cannot be anything to tidy away.
        if len(found.releases) >= _KEPT_RELEASES or len(set(found.runtimes) - {runtime.id}) > 1:
            self._prune(device, listener)
        return self._result(name, previous, runtime, changed=name != found.current, watched=watched)

    def _trust(self, remote: Remote, device: DeviceSide, listener: Listener) -> None:
        if self.options.trust is not None and self._key is not None:
            file = trust(remote, device, self.options.trust, self._key)
            listener.step("trust", f"{self._key} is trusted there: {file}")

    def _watch(self, device: DeviceSide, name: str, listener: Listener) -> None:
        timeout_s = self.options.watch_s + _PATIENCE_S
        said = ""
        for record in device.follow("device", "watch", name, "--timeout", f"{timeout_s:g}"):
            text = watching(record)
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
    ) -> Flashed:
        return Flashed(release, previous, self.model, changed, True, watched, runtime.id)
