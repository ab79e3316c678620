"""Starting the driver's process, which waits for a job."""

import subprocess
import sys

Driver = subprocess.Popen[bytes]


def start_driver() -> Driver:
    """Start the driver with a clean environment and no descriptor but its three streams."""
    return subprocess.Popen(
        [sys.executable, "-I", "-m", "manatee.executor._driver"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8"},  # noqa: S108
        close_fds=True,
        cwd="/",
    )
