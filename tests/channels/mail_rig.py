"""What the tests of e-mail share: channels to a local server, and scripts for servers."""

from __future__ import annotations

import socket
from typing import Any

from engine.channels.email import CHANNEL, EmailChannel
from engine.model import TargetSpec
from tests.channels import rig as r
from tests.channels.certs import Authority

PASSWORD = "correct horse battery"
LOGIN = ("ops", PASSWORD)


def open_mail(port: int, *, to: Any = ("a@example.org",), **more: Any) -> EmailChannel:
    """Open a channel to localhost:port. Options of the target are `to`, `cc` …; the rest goes into section smtp."""
    names = {"cc", "bcc", "reply_to", "list_unsubscribe", "subject_prefix", "headers"}
    options = {"to": list(to), **{name: value for name, value in more.items() if name in names}}
    headers = options.pop("headers", ())
    target = TargetSpec("me", "email", options, headers=headers)
    smtp = {"host": "localhost", "port": port, "tls": "none", "from": "Bóx <ops@example.org>"}
    smtp |= {name: value for name, value in more.items() if name not in names}
    return CHANNEL.open(target, r.context(smtp=smtp, secrets={"secret:smtp": PASSWORD, "secret:wrong": "no, not that"}))


def login(authority: Authority, **more: Any) -> dict[str, Any]:
    return {
        "tls": "starttls",
        "username": "ops",
        "password": "secret:smtp",
        "ca_file": str(authority.file),
        **more,
    }


def hold(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass
