"""What systemd does, in a few lines: starts the service again whenever it ends. Run as the device's user.

``supervisor.py HOME KEYS [crash]``: with ``crash`` every release but the one that is current now is killed as
soon as it runs.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

home, crash = Path(sys.argv[1]), "crash" in sys.argv[2:]
first = os.readlink(home / "current")
env = {"PATH": "/usr/bin:/bin", "HOME": str(home.parent), "EDGE_ECG_HOME": str(home)}
env["EDGE_ECG_TRUSTED_KEYS"] = sys.argv[2]
child = None


def end(number, frame):
    if child is not None:
        child.kill()
    sys.exit(0)


def runs(process):
    """Wait until the start script has become the service; False when it has ended instead."""
    while process.poll() is None:
        if b"service\0run" in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            return True
        time.sleep(0.005)
    return False


signal.signal(signal.SIGTERM, end)
with (home / "service.log").open("ab") as log:
    while True:
        child = subprocess.Popen([home / "bin" / "edge-ecg-start"], env=env, stdout=log, stderr=log)
        if crash and os.readlink(home / "current") != first and runs(child):
            log.write(b"killed by the test\n")
            log.flush()
            child.kill()
        child.wait()
        time.sleep(0.1)  # as RestartSec does
