"""What `chronos init --demo` sets up: a configuration whose targets are on this machine, and messages to them."""

from __future__ import annotations

from chronos_tui import bridge

_CONFIG = """\
# A box to try Chronos on, made by `chronos init --demo`. Nothing leaves this machine: the engine runs a mail and a web
# server of its own on loopback and keeps what they are sent in demo-inbox/ of the data directory.
environment: development

demo:
  sink: true
  smtp_port: {smtp_port}
  http_port: {http_port}

smtp:
  host: 127.0.0.1
  port: {smtp_port}
  tls: none              # only for a server on this machine
  from: Chronos demo <chronos@demo.example>

targets:
  me:                    # a mailbox
    channel: email
    to: [me@demo.example]
  hook:                  # a webhook that accepts
    channel: webhook
    url: http://127.0.0.1:{http_port}/ok
  flaky:                 # refuses the first try of each message, takes the second
    channel: webhook
    url: http://127.0.0.1:{http_port}/flaky
  refuse:                # refuses for good: its messages end as dead letters
    channel: webhook
    url: http://127.0.0.1:{http_port}/refuse
  archive:               # a Maildir below the data directory
    channel: maildir
    path: mail

# One name for several targets: where the first refuses, the next takes over.
routes:
  alerts:
    - refuse
    - {{after: 1m, to: me}}
"""


def config_text() -> str:
    """Return the demo's configuration, with two ports of this machine that are free now."""
    smtp_port, http_port = _free_ports()
    return _CONFIG.format(smtp_port=smtp_port, http_port=http_port)


def _free_ports() -> tuple[int, int]:
    import socket

    with socket.socket() as first, socket.socket() as second:
        for one in (first, second):
            one.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def samples(*, another: bool) -> list[bridge.NewMessage]:
    """Return messages that show a delivery on each channel, a retry, a dead letter, and a route that goes on.

    Queued once a data directory, by their idempotency keys; another: a set with keys of its own.
    """
    import os

    mark = f"demo-{os.urandom(4).hex()}" if another else "demo"
    say = [
        ("me", "Welcome to Chronos", "This mail lies in demo-inbox/ of the data directory."),
        ("hook", "Nightly job finished", "Exit status 0 after 42 s."),
        ("flaky", "Disk report", "The first try is refused with 503; the second gets through."),
        ("refuse", "Form submission", "This receiver refuses for good: see 'chronos outbox explain'."),
        ("archive", "Backup finished", "Kept in a Maildir below the data directory."),
        ("alerts", "Backup failed on box", "The route's first target refuses, so this comes by mail."),
    ]
    return [
        bridge.NewMessage(target, subject, body, idempotency_key=f"{mark}-{number}", tags=("demo",))
        for number, (target, subject, body) in enumerate(say, start=1)
    ]
