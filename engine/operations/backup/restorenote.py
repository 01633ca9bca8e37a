"""RESTORE.md: what to do with a backup, for somebody who has nothing but the file and a shell. Words only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.rules.backups import CONFIG, DATABASE, MANIFEST, SUMS, TEMPLATES


def text(manifest: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the note of one backup. manifest: as far as it is known before this note stands in it. names: of the
    members that it tells of.
    """
    return (
        "\n\n".join(
            part.strip("\n")
            for part in (_head(manifest), _members(names), _check(manifest), _with_chronos(manifest), _READ)
        )
        + "\n"
    )


def _head(manifest: Mapping[str, Any]) -> str:
    counts: Mapping[str, int] = manifest["counts"]
    messages = ", ".join(f"{n} {state}" for state, n in sorted(counts.items())) or "none"
    return f"""
# A backup of Chronos

Chronos takes messages in and sends them by e-mail and webhook. This is a copy of all that it had stored on one machine
at one moment.

    instance   {manifest["instance"]}
    taken      {manifest["created_at"]} (UTC)
    file       {manifest["name"]}
    messages   {messages}
    written by Chronos {manifest["chronos"]}, SQLite {manifest["sqlite"]}, schema {manifest["schema"]}

Messages are in it as they were written, in plain words: keep it as you would keep the mail itself. Passwords and tokens
("secrets") are in it sealed; the key that opens them, the root key, is not.
"""


def _members(names: Sequence[str]) -> str:
    lines = [f"* `{DATABASE}`: everything, as an SQLite database."]
    if CONFIG in names:
        lines.append(f"* `{CONFIG}`: the configuration. It names secrets and holds none.")
    if any(name.startswith(TEMPLATES) for name in names):
        lines.append(f"* `{TEMPLATES}`: the templates of messages.")
    lines.append(
        f"* `{MANIFEST}`: what was copied, how many rows, the size and sum of each file, and a signature over that."
    )
    lines.append(f"* `{SUMS}`: the sums again, as sha256sum reads them.")
    return "## What is in it\n\n" + "\n".join(lines)


def _check(manifest: Mapping[str, Any]) -> str:
    name = manifest["name"]
    return f"""
## Look whether it is whole

Where the file is called `{name}.age`, decrypt it first, with the identity or the passphrase of whoever runs Chronos:

    age -d -i IDENTITY-FILE -o {name} {name}.age
    age -d -o {name} {name}.age

(the second line asks for the passphrase). Then:

    unzip {name} -d backup
    cd backup
    sha256sum -c {SUMS}
    sqlite3 {DATABASE} 'PRAGMA integrity_check'

Each line of sha256sum has to end with OK, and sqlite3 has to say ok.
"""


def _with_chronos(manifest: Mapping[str, Any]) -> str:
    name = manifest["name"]
    vault = manifest["vault"]
    kit = (
        "There were no secrets: no recovery kit is needed."
        if vault is None
        else f"""For the secrets the root key {vault["root_id"]} is needed: where it was kept (a keyring, a key file, a
credential), or from the recovery kit, a text file with a passphrase that was printed when it was made:

    chronos secret import-recovery-kit KIT-FILE
    chronos secret check"""
    )
    return f"""
## Put it back

Install Chronos {manifest["chronos"]} or a newer one, and do not start its engine. Give it the file as it is, not
unpacked:

    chronos backup verify ./{name}
    chronos restore plan ./{name}
    chronos restore apply ./{name}

An encrypted file goes in as it is too, with `--identity-file FILE` or `--passphrase-file FILE`. `plan` says what would
happen and changes nothing. It also names the key that signed the backup; on a machine that has none of the old keys,
compare it with your notes.

{kit}

Nothing is sent by this. What waited when the backup was taken is held, because it may have been sent since. Before you
release it, see that the old machine does not send any more, and look at what waits:

    chronos outbox list --filter state:held
    chronos outbox release --filter state:held

Then start the engine: `chronos-tui --engine-only`, or the service that does it.
"""


_READ = """
## Without Chronos

The database can be read by anything that reads SQLite. From the directory where it was unpacked:

    sqlite3 -readonly chronos.db "SELECT state, count(*) FROM messages GROUP BY state"
    sqlite3 -readonly chronos.db "SELECT uid, target, subject, state_reason FROM messages WHERE state = 'queued'"
    sqlite3 -readonly chronos.db "SELECT text FROM messages JOIN bodies ON message_id = id WHERE uid = 'UID'"
    sqlite3 -readonly chronos.db "SELECT body FROM audit ORDER BY seq DESC LIMIT 20"

Do not copy `chronos.db` into the place of a live one: an engine would send what waited in it, some of it for the second
time.
"""
