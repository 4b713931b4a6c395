"""Copied into the runtime of a test device: its process kills itself before the n-th change in the home.

What counts as a change comes from Python's own audit events, so the code under test knows nothing of it. The
number stands in the file that EDGE_ECG_KILL_AT names; the changes of one flash are counted over all its
processes, in a file beside it.
"""

import os
import signal
import sys

_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.truncate"}


def _install(plan, home):
    with open(plan) as file:
        at = int(file.read())
    counter = plan + ".count"

    def watch(event, args):
        if event == "open":
            path, _, flags = args
            changes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        else:
            path, changes = (args[0] if event != "os.symlink" else args[1]), event in _CHANGES
        if not changes or not isinstance(path, str | os.PathLike) or not os.fspath(path).startswith(home):
            return
        number = os.open(counter, os.O_RDWR | os.O_CREAT, 0o666)
        done = int(os.read(number, 20) or b"0") + 1
        os.pwrite(number, str(done).encode(), 0)
        os.close(number)
        if done == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


_plan, _home = os.environ.get("EDGE_ECG_KILL_AT"), os.environ.get("EDGE_ECG_HOME")
if _plan and _home and os.path.exists(_plan):
    _install(_plan, _home)
