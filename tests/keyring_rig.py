"""A D-Bus session of its own with a real gnome-keyring-daemon on it, for tests of the OS keyring."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import PATIENCE_S, SKIP_NOTHING

PASSWORD = "a login password"

NEEDED = pytest.mark.skipif(
    not SKIP_NOTHING and not all(shutil.which(tool) for tool in ("dbus-daemon", "dbus-send", "gnome-keyring-daemon")),
    reason="no keyring daemon is installed: apt-get install gnome-keyring dbus",
)

# Without service directories nothing is started by a call: neither a prompter nor a second daemon.
_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type><listen>unix:path={socket}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"""


class Session:
    """The bus and what a process of this session has in its environment."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._daemon: subprocess.Popen[bytes] | None = None
        runtime = home / "run"
        runtime.mkdir(mode=0o700)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_DATA_HOME": str(home / "share"),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime / 'bus'}",
        }
        configuration = home / "bus.conf"
        configuration.write_text(_BUS.format(socket=runtime / "bus"))
        self._bus = subprocess.Popen(
            ["dbus-daemon", f"--config-file={configuration}", "--nofork", "--print-address=1"],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._bus.stdout is not None
        assert self._bus.stdout.readline()

    def start(self, password: str | None = PASSWORD) -> None:
        """Start the daemon; with the right password its collection is unlocked, at the first start it is made."""
        words = ["gnome-keyring-daemon", "--foreground", "--components=secrets"]
        self._daemon = subprocess.Popen(
            words if password is None else [*words, "--unlock"],
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert self._daemon.stdin is not None
        self._daemon.stdin.write((password or "").encode())
        self._daemon.stdin.close()
        self._wait_for_daemon()

    def _wait_for_daemon(self) -> None:
        asked = "org.freedesktop.DBus.NameHasOwner"
        command = ["dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/", asked]
        patience = threading.Event()
        for _ in range(int(PATIENCE_S / 0.02)):
            done = subprocess.run(
                [*command, "string:org.freedesktop.secrets"], env=self.env, capture_output=True, check=False
            )
            if b"boolean true" in done.stdout:
                return
            patience.wait(0.02)  # another program's start; its name on the bus is what there is to poll
        raise AssertionError("gnome-keyring-daemon did not come up")

    def freeze(self) -> None:
        """Let the daemon answer nobody."""
        assert self._daemon is not None
        self._daemon.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._daemon is not None
        self._daemon.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the daemon: what is in its memory is gone, what it stored stays."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait(PATIENCE_S)
            self._daemon = None

    def close(self) -> None:
        self.stop()
        self._bus.kill()
        self._bus.wait(PATIENCE_S)
        assert self._bus.stdout is not None
        self._bus.stdout.close()


@contextmanager
def session(home: Path) -> Iterator[Session]:
    """Run a bus without a daemon on it."""
    running = Session(home)
    try:
        yield running
    finally:
        running.close()


def plant_plaintext_backend(folder: Path) -> dict[str, str]:
    """Install what keyrings.alt is: a backend that is found by itself, outranks all others and writes in the clear.

    Returns the environment in which Python finds it.
    """
    folder.mkdir()
    (folder / "plainkeys.py").write_text(
        "import os\n"
        "from keyring.backend import KeyringBackend\n"
        "class Keyring(KeyringBackend):\n"
        "    priority = 100\n"
        "    def set_password(self, service, name, value):\n"
        "        with open(os.path.join(os.environ['HOME'], 'plain'), 'a') as file:\n"
        "            file.write(value)\n"
        "    def get_password(self, service, name):\n"
        "        with open(os.path.join(os.environ['HOME'], 'plain')) as file:\n"
        "            return file.read()\n"
    )
    info = folder / "plainkeys-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plainkeys\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[keyring.backends]\nplain = plainkeys\n")
    return {"PYTHONPATH": str(folder), "PYTHON_KEYRING_BACKEND": "plainkeys.Keyring"}
