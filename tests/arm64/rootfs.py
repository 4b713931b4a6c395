"""An arm64 Debian with Python, unpacked and not installed: no package script runs, so seconds suffice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .cache import cached
from .host import need_binfmt, run

VERSION = 1  # raise it when the steps below change


@dataclass(frozen=True, slots=True)
class Suite:
    """A Debian release: what a Raspberry Pi OS of the same name is built from."""

    name: str
    python: str
    merged_usr: bool = False

    @property
    def packages_folder(self) -> str:
        """Where Python of this release looks for what is installed by hand, below the root."""
        return f"usr/local/lib/python{self.python}/dist-packages"


SUITES = {
    suite.name: suite for suite in (Suite("bookworm", "3.11"), Suite("trixie", "3.13", merged_usr=True))
}
PACKAGES = (
    "base-files", "bash", "coreutils", "dash", "findutils", "grep", "gzip", "hostname", "libc-bin",
    "libstdc++6", "mawk", "openssh-sftp-server", "procps", "python3", "python3-venv", "rsync", "sed", "tar",
    "util-linux",
)  # fmt: skip
USER, USER_ID = "ecg", 1000
_PASSWD = f"root:x:0:0:root:/root:/bin/bash\n{USER}:x:{USER_ID}:{USER_ID}::/home/{USER}:/bin/bash\n"
_GROUP = f"root:x:0:\ndialout:x:20:{USER}\nvideo:x:44:{USER}\n{USER}:x:{USER_ID}:\n"


def rootfs(suite: Suite, architecture: str = "arm64") -> Path:
    """Return the folder of that system, unpacked once and then cached. Not to be written to.

    Raises
    ------
    AbsentError
        When this host cannot make one.

    """
    need_binfmt({"arm64": "aarch64", "armhf": "arm"}[architecture])
    recipe = [VERSION, suite.name, architecture, PACKAGES]
    return cached(
        f"rootfs-{suite.name}-{architecture}", recipe, lambda folder: _unpack(folder, suite, architecture)
    )


def _unpack(folder: Path, suite: Suite, architecture: str) -> None:
    if suite.merged_usr:
        # Packages of this release ship nothing below /bin and /lib; base-files' script would link them.
        for name in ("bin", "sbin", "lib"):
            (folder / "usr" / name).mkdir(parents=True)
            (folder / name).symlink_to(f"usr/{name}")
    run(
        "nice", "mmdebstrap", f"--arch={architecture}", "--variant=extract", "--mode=root",
        "--skip=check/qemu,check/empty",
        f"--include={','.join(PACKAGES)}", "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*", suite.name, folder,
        timeout_s=600,
    )  # fmt: skip
    (folder / "usr/bin/awk").symlink_to("mawk")  # what its script would do
    etc = folder / "etc"
    (etc / "passwd").write_text(_PASSWD)
    (etc / "group").write_text(_GROUP)
    (etc / "hostname").write_text("raspberrypi\n")
    (etc / "hosts").write_text("127.0.0.1 localhost raspberrypi\n")
    home = folder / "home" / USER
    home.mkdir()
    home.chmod(0o755)
    run("chown", f"{USER_ID}:{USER_ID}", home, timeout_s=10)
