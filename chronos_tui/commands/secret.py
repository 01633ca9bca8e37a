"""`chronos secret`: what the configuration refers to as secret:NAME. A value comes in and never goes out again."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from chronos_tui import bridge
from chronos_tui.commands import asking, times
from chronos_tui.commands.output import Painted
from chronos_tui.commands.parsing import Arguments, Verb, text
from chronos_tui.commands.session import Session
from chronos_tui.commands.table import Column
from chronos_tui.commands.table import show as show_table

PROBLEM_FOUND = 3
PLACES = ("keyring", "file", "credential", "passphrase")
_MOST_BYTES = 64 * 1024
_COLUMNS = (
    Column("secret"),
    Column("from"),
    Column("version", right=True),
    Column("age", right=True),
    Column("used by", flexible=True),
)
_NO_PLACE = (
    "secret set: there is no vault yet and nobody can be asked where its root key shall lie; say it once with "
    "'chronos init --root-key keyring', file, credential or passphrase"
)


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", type=text, help="as in secret:NAME: letters, digits, - _ .")


def set_value(session: Session, given: Arguments) -> int:
    bridge.harden()
    piped = None if sys.stdin.isatty() else _piped()
    with session.engine() as engine:
        if not engine.settings.security["encryption_enabled"]:
            raise bridge.NotPossible(
                "security.encryption_enabled is false, so the vault is off and nothing is stored; set it to true, or "
                "give the secret in the environment"
            )
        if engine.vault() is None:
            _make_vault(session, engine)
        asking.unlock(engine)
        value = piped if piped is not None else asking.hidden_twice(f"value of {given.name}: ", "once more: ")
        done = engine.secret_set(given.name, value)
        found = engine.vault()
    if session.out.json:
        session.out.document({**bridge.secret_shape(done), "vault": bridge.vault_shape(found)})
        return 0
    words = "" if found is None else f"; root key: {found.words}"
    session.out.done(f"secret:{done.name} is stored (version {done.version}){words}")
    if done.where == "environment":
        session.out.note(f"a variable of the environment provides {done.name} too, and wins")
    return 0


def _piped() -> str:
    """Read the value from stdin; one newline at its end belongs to the pipe. Raises BadInput."""
    data = sys.stdin.buffer.read(_MOST_BYTES + 3)
    decoded = _decoded(data)
    if decoded is None:
        raise bridge.BadInput("the value on stdin is not UTF-8 text; nothing was stored")
    return decoded.removesuffix("\n").removesuffix("\r")


def _decoded(data: bytes) -> str | None:
    """Decode, or None: the decoder's own error holds the bytes, so it must not stay attached to ours."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _make_vault(session: Session, engine: bridge.Engine) -> None:
    """Have the place of the root key chosen. Without a terminal only an OS keyring that truly works is taken."""
    if asking.can_ask():
        chosen = asking.place(session, engine)
        if chosen is None:
            raise bridge.NotPossible("nothing was stored: a place for the root key was not chosen")
        create_vault(session, engine, chosen)
        return
    trouble = engine.vault_trouble(bridge.Provider.KEYRING)
    if trouble is not None:
        raise bridge.NotPossible(f"{_NO_PLACE} (keyring: {trouble.partition(';')[0]})")
    create_vault(session, engine, "keyring")


def create_vault(session: Session, engine: bridge.Engine, chosen: str) -> bridge.VaultState:
    """Make the vault and say where its root key lies."""
    done = engine.vault_create(bridge.Provider(chosen), passphrase=asking.new_passphrase(chosen))
    session.out.note(
        f"made the vault; root key {done.root_id}: {done.words}; 'chronos secret export-recovery-kit' makes a spare"
    )
    return done


def show_list(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found, vault = engine.secrets(), engine.vault()
    if session.out.json:
        session.out.document({"vault": bridge.vault_shape(vault), "secrets": [bridge.secret_shape(s) for s in found]})
        return 0
    if vault is not None:
        session.out.note(f"root key {vault.root_id}: {vault.words}, since {_since(vault)}")
    if not found:
        session.out.note("no secret is stored, and the configuration refers to none")
        return 0
    now_ms = times.now_ms()
    rows = []
    for one in found:
        where = Painted(one.where, "failed" if one.where == "missing" else "ok")
        version = "" if one.version is None else str(one.version)
        age = "" if one.updated_ms is None else times.relative(one.updated_ms, now_ms)
        rows.append((one.name, where, version, age, ", ".join(one.used_by) or "nothing in the configuration"))
    show_table(session.out, _COLUMNS, rows)
    missing = [one.name for one in found if one.where == "missing"]
    if missing:
        session.out.note(f"missing: 'chronos secret set {missing[0]}' stores it")
    return 0


def _since(vault: bridge.VaultState) -> str:
    return times.moment(vault.rotated_ms or vault.created_ms)


def delete_arguments(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")


def delete(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        one = next((s for s in engine.secrets() if s.name == given.name and s.version is not None), None)
        if one is not None and not given.yes:
            users = f"; used by {', '.join(one.used_by)}" if one.used_by else ""
            if not asking.can_ask():
                raise bridge.BadInput(f"secret delete: nobody can be asked{users}; add --yes")
            if not asking.confirmed(f"delete secret:{one.name}{users}?"):
                session.out.note("nothing was done")
                return 1
        engine.secret_delete(given.name)
    if session.out.json:
        session.out.document({"name": given.name, "deleted": True, "used_by": list(one.used_by if one else ())})
        return 0
    session.out.done(f"secret:{given.name} is deleted")
    if one is not None and one.used_by:
        session.out.note(f"still referred to by {', '.join(one.used_by)}")
    return 0


def check(session: Session, given: Arguments) -> int:
    bridge.harden()
    with session.engine() as engine:
        if engine.settings.security["encryption_enabled"]:
            asking.unlock(engine)
        found, vault = engine.secrets_check(), engine.vault()
    good = all(one.ok for one in found)
    if session.out.json:
        checks = [bridge.secret_check_shape(one) for one in found]
        session.out.document({"ok": good, "vault": bridge.vault_shape(vault), "secrets": checks})
        return 0 if good else PROBLEM_FOUND
    session.out.note("there is no vault" if vault is None else f"root key {vault.root_id}: {vault.words}")
    width = max((len(one.name) for one in found), default=0)
    for one in found:
        mark = Painted("ok     ", "ok") if one.ok else Painted("failed ", "failed")
        session.out.line(mark, f"{one.name:<{width}}  {one.problem or one.where}")
    if not found:
        session.out.note("no secret is stored, and the configuration refers to none")
    return 0 if good else PROBLEM_FOUND


def to_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", metavar="PLACE", choices=PLACES, help="keyring, file, credential or passphrase")


def rotate_root(session: Session, given: Arguments) -> int:
    bridge.harden()
    with session.engine() as engine:
        before = engine.vault()
        if before is not None:
            asking.unlock(engine)
        place = given.to or (before.provider.value if before is not None else None)
        done = engine.vault_rotate(
            provider=None if given.to is None else bridge.Provider(given.to),
            passphrase=asking.new_passphrase(place) if before is not None else None,
        )
    if session.out.json:
        session.out.document({"vault": bridge.vault_shape(done), "previous": bridge.vault_shape(before)})
        return 0
    session.out.done(f"every secret is sealed anew; root key {done.root_id}: {done.words}")
    session.out.note("recovery kits made before open only backups made before: 'chronos secret export-recovery-kit'")
    if before is not None and before.provider == bridge.Provider.CREDENTIAL:
        session.out.note(f"take the credential of root key {before.root_id} out of the unit and restart the service")
    return 0


def export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", nargs="?", type=text, help="a new file (default: named after the key)")


def export_kit(session: Session, given: Arguments) -> int:
    bridge.harden()
    with session.engine() as engine:
        vault = engine.vault()
        file = Path(given.file or f"chronos-recovery-kit-{vault.root_id if vault else ''}.txt").absolute()
        if file.exists():
            raise bridge.BadInput(f"{file} is there already; name a new file")
        typed = asking.unlock(engine)
        kit = engine.recovery_kit(passphrase=typed)
    bridge.write_atomic(file, kit.text.encode())
    if session.out.json:
        session.out.document({"file": str(file), "root_id": kit.root_id, "passphrase": kit.passphrase})
        return 0
    session.out.note(f"the recovery kit is in {file}; its passphrase, shown this once:")
    session.out.line(kit.passphrase)
    session.out.note("write it down on paper, apart from the file; both together open every secret")
    return 0


def import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=text, help="a recovery kit")
    parser.add_argument("--to", metavar="PLACE", choices=PLACES[:2], help="keyring or file (default: as before)")


def import_kit(session: Session, given: Arguments) -> int:
    bridge.harden()
    kit = _kit(Path(given.file))
    with session.engine() as engine:
        vault = engine.vault()
        place = given.to or (vault.provider.value if vault else "file")
        words = asking.hidden("passphrase of the kit: ") if sys.stdin.isatty() else _piped()
        done = engine.recover(kit, words, bridge.Provider(place))
    if session.out.json:
        session.out.document({"vault": bridge.vault_shape(done)})
        return 0
    session.out.done(f"the vault opens again; root key {done.root_id}: {done.words}; 'chronos secret check' proves it")
    return 0


def _kit(path: Path) -> str:
    try:
        data = path.read_bytes() if path.stat().st_size <= _MOST_BYTES else b""
    except FileNotFoundError as error:
        raise bridge.NotFound(f"{path}: no such file") from error
    return data.decode("utf-8", "replace")


VERBS = (
    Verb(
        "secret set",
        "store a secret, in place of the one before",
        set_value,
        ("chronos secret set smtp", "pass show mail/box | chronos secret set smtp"),
        _name,
        "The value is asked for, or read from stdin (without one newline at its end); never given as a word.",
    ),
    Verb(
        "secret list",
        "list secrets, where each comes from and what uses it; never a value",
        show_list,
        ("chronos secret list", "chronos secret list --json"),
    ),
    Verb(
        "secret delete",
        "forget a secret",
        delete,
        ("chronos secret delete smtp", "chronos secret delete smtp --yes"),
        delete_arguments,
    ),
    Verb(
        "secret check",
        "open every secret and say of each whether it can be had",
        check,
        ("chronos secret check", "chronos secret check --json"),
        details="Ends with 3 when one cannot be had, was changed, or was put back from an older copy.",
    ),
    Verb(
        "secret rotate-root",
        "give the vault a new root key, here or at another place, and seal every secret anew",
        rotate_root,
        ("chronos secret rotate-root", "chronos secret rotate-root --to file"),
        to_arguments,
        "Killed at any moment it leaves a vault that opens. docs/secrets.md says what each place needs.",
    ),
    Verb(
        "secret export-recovery-kit",
        "write the root key into a file, wrapped under a passphrase that is shown once",
        export_kit,
        ("chronos secret export-recovery-kit", "chronos secret export-recovery-kit /media/usb/chronos-kit.txt"),
        export_arguments,
        "Without it a backup's secrets cannot be opened on another machine.",
    ),
    Verb(
        "secret import-recovery-kit",
        "bring the root key of a recovery kit to this machine",
        import_kit,
        ("chronos secret import-recovery-kit kit.txt", "chronos secret import-recovery-kit kit.txt --to file"),
        import_arguments,
        "The passphrase is asked for, or read from stdin.",
    ),
)
