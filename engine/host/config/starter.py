"""The text of a new config.yaml. All but `environment` is a comment: nothing else is needed to start."""

from __future__ import annotations

_TEXT = """\
# Chronos. Every key is optional; docs/configuration.md explains them all.
# `chronos config check` names every mistake with its line, `chronos config show --origin` what is in force and why.
# Passwords never stand here: write secret:NAME and store it by `chronos secret set NAME`, or set CHRONOS_SECRET_NAME.

# production makes unsafe settings errors; development only warns.
environment: development

# The name of this box: in the subject of reports, in Message-ID and in the names of backups. Default: the host name.
# instance: box.example.org

# smtp:
#   host: smtp.example.org
#   port: 587
#   tls: starttls            # implicit for port 465; none only for a relay on this machine
#   username: ops
#   password: secret:smtp    # chronos secret set smtp
#   from: Box <ops@example.org>

# Where messages go: `chronos send NAME …`.
# targets:
#   me:
#     channel: email
#     to: [me@example.org]
#   hook:
#     channel: webhook
#     url: https://example.org/hook
#     secret: secret:hook    # chronos secret set hook; signs by the Standard Webhooks scheme
#     rate: 20/m
#   archive:
#     channel: maildir
#     path: ~/Mail/chronos

# One name for several targets: the next one takes over when a message was not accepted in time.
# routes:
#   alerts:
#     - hook
#     - {after: 15m, to: me}

# What holds for every target that does not say otherwise.
# defaults:
#   retry: {first: 5s, cap: 6h, attempts: 16, max_age: 3d}
#   timeout: 30s
"""


def default_text() -> str:
    """Return the commented configuration that `chronos init` writes. It is valid as it stands."""
    return _TEXT
