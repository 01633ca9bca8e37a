"""A real sshd on a loopback port with keys of its own, and an ssh that knows it under the name `box`."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.tools import find, needs

NEEDED = needs("ssh", "sshd", "ssh-keygen")

_SERVER = """ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""
_CLIENT = """Host box
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {folder}/key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile /dev/null
  HostKeyAlias box
"""


class Rig(NamedTuple):
    """env: of programs, with our ssh in front. folder: keys and configuration. port: where the server listens."""

    env: dict[str, str]
    folder: Path
    port: int


def program(folder: Path, name: str, script: str) -> dict[str, str]:
    """Put a program in front of all others; return the environment in which it is."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


@contextmanager
def running_sshd(folder: Path) -> Iterator[Rig]:
    """Start it and wait until it listens."""
    folder.mkdir()
    for name in ("host_key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "known_hosts").write_text(f"box {(folder / 'host_key.pub').read_text()}")
    port = _free_port()
    values = {"port": port, "folder": folder, "user": getpass.getuser()}
    (folder / "sshd_config").write_text(_SERVER.format(**values))
    (folder / "config").write_text(_CLIENT.format(**values))
    ssh, sshd = find("ssh"), find("sshd")
    assert ssh is not None
    assert sshd is not None  # by its whole path: it starts itself anew for each connection
    script = f'#!/bin/sh\necho "$$" > {folder}/ssh.pid\nenv > {folder}/ssh.env\nexec {ssh} -F {folder}/config "$@"\n'
    env = program(folder / "bin", "ssh", script)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # root's sshd refuses to start without it
    server = subprocess.Popen([sshd, "-D", "-e", "-f", folder / "sshd_config"], stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    try:
        line = ""
        while "Server listening" not in line:
            line = server.stderr.readline()
            assert line, "sshd ended"
        yield Rig(env, folder, port)
    finally:
        server.terminate()
        server.wait()
        server.stderr.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
