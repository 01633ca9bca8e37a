"""Questions on a terminal: a choice, a yes, a text that is not shown. Nothing is asked where nobody can answer."""

from __future__ import annotations

import sys

from chronos_tui import bridge
from chronos_tui.commands.session import Session

_PLACES = (
    ("keyring", "the keyring of the operating system; needs a session in which it is unlocked"),
    ("file", "a file of mode 0600 in the data directory; whoever copies the directory has it too"),
    ("credential", "a systemd credential, for an engine that runs as a service"),
    ("passphrase", "nowhere: derived from a passphrase that is given at each start"),
)


def can_ask() -> bool:
    """Whether somebody sits at a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def line(question: str) -> str:
    """Ask on stderr, so that stdout holds results alone; return the answer without blanks around it."""
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def confirmed(question: str) -> bool:
    """Ask for a yes; anything else is none."""
    return line(f"{question} [y/N] ").lower() in {"y", "yes"}


def hidden(question: str) -> str:
    """Ask for a text that the terminal does not show. Raises BadInput when there is no terminal."""
    import getpass

    if not sys.stderr.isatty():
        raise bridge.BadInput("nobody can be asked: there is no terminal")
    try:
        return getpass.getpass(question, stream=sys.stderr)
    except EOFError as error:
        raise bridge.BadInput("nobody can be asked: the terminal is closed") from error


def hidden_twice(question: str, again: str) -> str:
    """Ask for a text that is not shown, twice. Raises BadInput when the two differ."""
    found = hidden(question)
    if found != hidden(again):
        raise bridge.BadInput("the two are not the same; nothing was stored")
    return found


def new_passphrase(place: str | None) -> str | None:
    """Ask for the vault's new passphrase where its root key is to come from one; None elsewhere."""
    if place != bridge.Provider.PASSPHRASE or not can_ask():
        return None
    return hidden_twice("new passphrase of the vault: ", "once more: ")


def place(session: Session, engine: bridge.Engine) -> str | None:
    """Show where a root key can lie on this machine and let one be chosen; None for later."""
    session.out.remark("Where shall the root key lie that opens the secrets of this data directory?")
    usable: list[str] = []
    for number, (name, words) in enumerate(_PLACES, 1):
        trouble = engine.vault_trouble(bridge.Provider(name))
        session.out.remark(f"  {number}  {name:<11} {words}")
        if trouble is None:
            usable.append(name)
        else:
            session.out.remark(f"     {'':<11} not here: {trouble}")
    numbers = {str(at): name for at, (name, _) in enumerate(_PLACES, 1)}
    while True:
        answer = line("number or name, Enter for later: ")
        chosen = numbers.get(answer, answer)
        if not chosen:
            return None
        if chosen in usable:
            return chosen
        session.out.remark("  one of those that work here, please")


def unlock(engine: bridge.Engine) -> str | None:
    """Have the vault opened where a passphrase opens it that nothing else gives; return what was typed, if anything.

    Raises VaultLocked, VaultDamaged.
    """
    found = engine.vault()
    if found is None or found.provider != bridge.Provider.PASSPHRASE:
        return None
    if engine.vault_closed() is None or not sys.stderr.isatty():
        return None
    words = hidden("passphrase of the vault: ")
    engine.vault_open(words)
    return words
