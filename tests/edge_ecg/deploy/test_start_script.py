"""bin/edge-ecg-start under real shells: what it starts, when it goes back, what it survives."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from edge_ecg.deploy import Home, Releases
from edge_ecg.deploy.disk import Disk, Step
from edge_ecg.deploy.start_script import install_start_script, start_script
from edge_ecg.errors import DataError

from .tiny import PROGRAM, at

_SHELLS = [[path] for name in ("dash",) if (path := shutil.which(name))]
if busybox := shutil.which("busybox"):
    _SHELLS.append([busybox, "sh"])

EX_CONFIG = 78


@pytest.fixture(params=_SHELLS, ids=lambda words: Path(words[0]).name)
def shell(request: pytest.FixtureRequest) -> list[str]:
    """A shell that runs the script; busybox brings its own mv, ln, readlink, sync and flock."""
    return list(request.param)


@pytest.fixture
def started(home: Home, shell: list[str]) -> Starter:
    return Starter(home, shell)


class Starter:
    """Runs the start script as a service manager does."""

    def __init__(self, home: Home, shell: list[str]) -> None:
        self.home = home
        self.shell = shell
        self.stderr = ""
        install_start_script(home)

    def __call__(self, *, code: int = 0, path: str | None = None, words: str = "") -> str:
        """Start once; return the name of the release that was started."""
        env = {"PATH": path or os.environ["PATH"]}
        done = subprocess.run(
            [*self.shell, str(self.home.start_script), *words.split()],
            env=env, capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        self.stderr = done.stderr
        assert done.returncode == code, done.stderr
        if code:
            assert done.stdout == ""
            return ""
        release, home, *rest = done.stdout.split()
        assert home == str(self.home.root)
        assert rest == ["service", "run", *words.split()]
        return release


@pytest.fixture
def two(releases: Releases, bundles: Path) -> tuple[str, str]:
    """A confirmed release, and one on trial after it; their names."""
    good = releases.create(bundles / "1.ecgb", "one", {})
    releases.switch(good)
    new = releases.create(bundles / "2.ecgb", "two", {})
    releases.switch(new, 60.0)
    return good.name, new.name


def test_a_confirmed_release_is_started_as_often_as_it_takes(
    started: Starter, releases: Releases, bundles: Path
) -> None:
    good = releases.create(bundles / "1.ecgb", "one", {})
    releases.switch(good)
    for _ in range(6):
        assert started(words="--more words") == good.name
    assert started.stderr == ""


def test_three_starts_on_trial_and_then_back(
    started: Starter, releases: Releases, two: tuple[str, str]
) -> None:
    good, new = two
    for number in range(3):
        assert started() == new
        assert releases.home.starts.read_text() == f"{number + 1} {new}\n"
        assert releases.trial() is not None
    assert started() == good
    assert new in started.stderr
    assert "going back" in started.stderr
    assert started() == good
    current = releases.current()
    assert current is not None
    assert current.name == good
    bad = releases.bad()[new]
    assert bad.reason == "it was started 3 times and not confirmed"
    assert bad.to == good
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", bad.at)
    # The next command of edge-ecg puts it into its own files.
    releases.confirm()
    assert not releases.home.fallbacks.exists()
    assert releases.bad()[new] == bad
    assert [entry.step for entry in releases.journal.entries() if entry.release == new][-1] == "reverted"


def test_a_confirmation_ends_the_counting(started: Starter, releases: Releases, two: tuple[str, str]) -> None:
    _, new = two
    for _ in range(3):
        started()
    releases.confirm()
    for _ in range(5):
        assert started() == new


def test_the_one_that_a_trial_replaces_is_on_trial_until_it_is_replaced(
    started: Starter, releases: Releases, two: tuple[str, str], bundles: Path
) -> None:
    good, new = two
    third = releases.create(bundles / "3.ecgb", "two", {})
    releases.switch(third, 60.0)
    # As after a power cut just before the last step.
    releases.home.current.unlink()
    releases.home.current.symlink_to(f"releases/{new}")
    assert [started() for _ in range(4)] == [new, new, new, good]


def test_without_a_release_before_it_is_started_again_and_says_so(
    started: Starter, releases: Releases, bundles: Path
) -> None:
    only = releases.create(bundles / "1.ecgb", "one", {})
    releases.switch(only, 60.0)
    assert [started() for _ in range(5)] == [only.name] * 5
    assert "no release to go back to" in started.stderr
    assert releases.bad() == {}


def test_no_release_at_all(started: Starter) -> None:
    started(code=EX_CONFIG)
    assert "no release" in started.stderr
    assert "edge-ecg flash HOST BUNDLE" in started.stderr


def test_nothing_at_all(started: Starter) -> None:
    for folder in (started.home.releases, started.home.runtimes, started.home.state):
        shutil.rmtree(folder)
    started(code=EX_CONFIG)


BREAKS = {
    "no bundle": lambda home, name: (home.release(name) / "model.ecgb").unlink(),
    "an empty bundle": lambda home, name: (home.release(name) / "model.ecgb").write_bytes(b""),
    "no runtime": lambda home, name: (home.release(name) / "runtime").unlink(),
    "no program": lambda home, name: (home.release(name) / "runtime/bin/edge-ecg").unlink(),
    "no interpreter": lambda home, name: (home.release(name) / "runtime/bin/python").symlink_to(
        "/no/python3"
    ),
    "no folder": lambda home, name: shutil.rmtree(home.release(name)),
    "no link": lambda home, name: home.current.unlink(),
    "a link elsewhere": lambda home, name: (
        home.current.unlink(),
        home.current.symlink_to("releases/0009-x-000000000000"),
    ),
}


@pytest.mark.parametrize("what", list(BREAKS))
@pytest.mark.parametrize("trial", [True, False])
def test_a_current_release_that_cannot_be_started(
    started: Starter, releases: Releases, two: tuple[str, str], what: str, trial: bool
) -> None:
    good, new = two
    if not trial:
        releases.confirm()
    BREAKS[what](started.home, new)
    assert started() == good
    current = releases.current()
    assert current is not None
    assert current.name == good
    assert started() == good
    assert started.stderr == ""


def test_neither_link_leads_anywhere_but_a_confirmed_release_is_there(
    started: Starter, releases: Releases, bundles: Path
) -> None:
    for minor in (1, 2, 3):
        releases.switch(releases.create(bundles / f"{minor}.ecgb", "one", {}))
    releases.create(bundles / "4.ecgb", "one", {})  # never confirmed
    oldest = releases.get("1")
    shutil.rmtree(releases.get("3").path)
    shutil.rmtree(releases.get("2").path)
    assert started() == oldest.name


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\0\0\0", b"x", b"-1 {new}", b"999999999999999999999 {new}", b"2", b"2 other\n", b"\xff\xfe",
     b"1 {new}", b"1 {new} and more\n", b"0x1 {new}\n", b"$(touch pwned) {new}\n", b"` {new}\n"],
)  # fmt: skip
def test_a_damaged_count_is_no_count(
    started: Starter, two: tuple[str, str], content: bytes, tmp_path: Path
) -> None:
    good, new = two
    started.home.starts.write_bytes(content.replace(b"{new}", new.encode()))
    found = [started() for _ in range(4)]
    first = found.index(good) if good in found else 4
    assert found == [new] * first + [good] * (4 - first)
    assert first >= 2  # at the very worst one start was forgotten
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"{", b'{"release": 3}', b"\xff" * 50, b"[]\n"])
def test_a_damaged_trial_is_no_trial(started: Starter, two: tuple[str, str], content: bytes) -> None:
    _, new = two
    started.home.trial.write_bytes(content)
    assert [started() for _ in range(5)] == [new] * 5


def test_a_folder_in_the_place_of_a_file(started: Starter, two: tuple[str, str]) -> None:
    _, new = two
    started.home.starts.unlink()
    started.home.starts.mkdir()
    assert [started() for _ in range(5)] == [new] * 5
    assert "cannot count" in started.stderr


def test_no_state_at_all(started: Starter, two: tuple[str, str]) -> None:
    _, new = two
    shutil.rmtree(started.home.state)
    assert started() == new


def test_a_home_with_blanks_and_quotes(home: Home, shell: list[str], two: tuple[str, str]) -> None:
    _, new = two
    odd = Home(home.root.parent / 'it\'s a $(home) "of" mine')
    home.root.rename(odd.root)
    install_start_script(odd)
    done = subprocess.run(
        [*shell, str(odd.start_script)], env={"PATH": os.environ["PATH"]},
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert done.stdout == f"{new} {odd.root} service run\n"
    assert at(odd).home.starts.read_text() == f"1 {new}\n"


def tools(folder: Path, **replaced: str) -> str:
    """Make a PATH of the tools that the script uses, some of them replaced by a script (or left out: '')."""
    folder.mkdir()
    for name in ("readlink", "mv", "ln", "rm", "sync", "date", "tr", "flock", "dirname", "cat", "sh", "echo"):
        if name in replaced:
            if replaced[name]:
                (folder / name).write_text(f"#!/bin/sh\n{replaced[name]}\n")
                (folder / name).chmod(0o755)
        elif path := shutil.which(name):
            (folder / name).symlink_to(path)
    return str(folder)


NO_T = 'case $1 in -fT) echo "mv: unknown option -- T" >&2; exit 1 ;; esac; exec /bin/mv "$@"'


@pytest.mark.parametrize(
    "replaced",
    [
        {"mv": NO_T},
        {"flock": ""},
        {"flock": "exit 1"},
        {"date": ""},
        {"sync": "exit 1"},
        {"sync": ""},
        {"ln": "exit 1"},
        {"mv": NO_T, "ln": "exit 1"},
    ],
    ids=str,
)
def test_tools_that_are_poorer(
    started: Starter, releases: Releases, two: tuple[str, str], tmp_path: Path, replaced: dict[str, str]
) -> None:
    if Path(started.shell[0]).name == "busybox":
        pytest.skip("busybox prefers its own tools to those of PATH")
    good, new = two
    path = tools(tmp_path / "bin", **replaced)
    assert [started(path=path) for _ in range(5)] == [new, new, new, good, good]
    current = releases.current()
    assert current is not None
    assert current.name == good
    current.check()
    if "date" not in replaced:
        assert new in releases.bad()


def test_killed_before_every_tool_that_it_calls(
    started: Starter, releases: Releases, two: tuple[str, str], tmp_path: Path
) -> None:
    """The power is cut before each program that the start script runs while it goes back."""
    if Path(started.shell[0]).name == "busybox":
        pytest.skip("busybox prefers its own tools to those of PATH")
    good, new = two
    for _ in range(3):
        started()
    count = tmp_path / "count"
    wrapper = (
        f'read -r left <"{count}"; echo $((left - 1)) >"{count}"; '
        '[ "$left" -gt 0 ] || kill -9 "$PPID"; exec {tool} "$@"'
    )
    names = ("readlink", "mv", "ln", "rm", "sync", "date", "tr", "flock")
    wrapped = {name: wrapper.replace("{tool}", str(shutil.which(name))) for name in names}
    path = tools(tmp_path / "bin", **wrapped)
    saved = tmp_path / "saved"
    shutil.copytree(started.home.root, saved, symlinks=True)
    killed = 0
    for number in range(100):
        shutil.rmtree(started.home.root)
        shutil.copytree(saved, started.home.root, symlinks=True)
        count.write_text(f"{number}\n")
        done = subprocess.run(
            [*started.shell, str(started.home.start_script)], env={"PATH": path},
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        if done.returncode == 0:
            assert done.stdout.split()[0] == good
            break
        killed += 1
        assert started() == good, f"killed before tool {number}"
        current = releases.current()
        assert current is not None
        assert current.name == good
        assert new in releases.bad()
    assert killed >= 8


def test_a_read_only_home_is_started_from(started: Starter, two: tuple[str, str], memory: Path) -> None:
    good, new = two
    root = str(started.home.root)
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "--bind", root, root], capture_output=True, check=False).returncode
    ):
        pytest.skip("only root may mount, and not in every container")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", root], check=True)
        assert [started() for _ in range(5)] == [new] * 5
        assert "cannot count this start" in started.stderr
        subprocess.run(["mount", "-o", "remount,rw,bind", root], check=True)
        (started.home.release(new) / "model.ecgb").unlink()
        subprocess.run(["mount", "-o", "remount,ro,bind", root], check=True)
        assert started() == good
        assert "is started this once" in started.stderr
    finally:
        subprocess.run(["umount", root], check=True)


def test_the_lock_is_waited_for_but_not_for_ever_and_not_kept(
    started: Starter, releases: Releases, two: tuple[str, str], tmp_path: Path
) -> None:
    _, new = two
    real = shutil.which("flock")
    if real is None or Path(started.shell[0]).name == "busybox":
        pytest.skip("there is no flock here that can be made more impatient")
    # Asked for 5 s, it waits for a tenth of one.
    impatient = f'echo "$*" >>"{tmp_path}/asked"; {real} -w 0.1 9; echo $? >>"{tmp_path}/asked"'
    path = tools(tmp_path / "bin", flock=impatient)
    with releases.lock.to("a test"):
        assert started(path=path) == new
    assert started(path=path) == new
    assert (tmp_path / "asked").read_text() == "-w 5 9\n1\n-w 5 9\n0\n"
    # The service that was started in the end must not have inherited it.
    program = started.home.release(new) / "runtime/bin/edge-ecg"
    program.write_text(PROGRAM.replace("echo", "ls -l /proc/self/fd >&2; echo"))
    started()
    assert "/lock" not in started.stderr


def test_a_signal_ends_what_was_started(started: Starter, two: tuple[str, str]) -> None:
    """The script becomes the service: there is no shell between it and the service manager."""
    _, new = two
    program = started.home.release(new) / "runtime/bin/edge-ecg"
    program.write_text("#!/bin/sh\necho $$\nexec sleep 60\n")
    env = {"PATH": os.environ["PATH"], "EDGE_ECG_HOME": str(started.home.root)}
    with subprocess.Popen(
        [*started.shell, str(started.home.start_script)], stdout=subprocess.PIPE, text=True, env=env
    ) as child:
        assert child.stdout is not None
        assert int(child.stdout.readline()) == child.pid
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=10) == -signal.SIGTERM


def test_it_is_installed_once_and_renewed(home: Home) -> None:
    install_start_script(home)
    stamp = home.start_script.stat().st_mtime_ns
    assert home.start_script.read_bytes() == start_script()
    assert os.access(home.start_script, os.X_OK)
    install_start_script(home)
    assert home.start_script.stat().st_mtime_ns == stamp
    home.start_script.write_text("old")
    install_start_script(home)
    assert home.start_script.read_bytes() == start_script()


def test_it_cannot_be_installed_on_a_file(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(DataError, match="start script"):
        install_start_script(Home(tmp_path / "home"))


def test_shellcheck(tmp_path: Path) -> None:
    program = shutil.which("shellcheck")
    if program is None:
        pytest.skip("shellcheck is not installed")
    (tmp_path / "script").write_bytes(start_script())
    done = subprocess.run([program, str(tmp_path / "script")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_two_that_install_it_at_once_take_turns(home: Home) -> None:
    ended: list[object] = []

    def second() -> None:
        try:
            install_start_script(home, Disk(lambda step: time.sleep(0.1) if step.kind == "sync" else None))
            ended.append("done")
        except DataError as error:
            ended.append(error)

    other = threading.Thread(target=second)

    def first(step: Step) -> None:
        if step.kind == "rename":  # written, and not yet in its place
            other.start()
            time.sleep(0.1)

    install_start_script(home, Disk(first))
    other.join()
    assert ended == ["done"]
    assert home.start_script.read_bytes() == start_script()
