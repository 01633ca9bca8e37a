"""Acts on secrets and the vault: stored unseen, deleted by name, checked; a root key made or changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from chronos_tui import bridge
from chronos_tui.desk import Failed
from chronos_tui.dialogs.bulk import AskTyped
from chronos_tui.dialogs.choose import Choice, Choose
from chronos_tui.dialogs.reading import Reading
from chronos_tui.dialogs.unseen import Unseen
from chronos_tui.views import secrets as views
from chronos_tui.views.spans import Document, Span
from chronos_tui.widgets.panel import Host

_SAME, _OPEN = "same", "open"

Places = Mapping[str, str | None]
"""Why a root key cannot be kept in each place on this machine; None: it can."""


def store(host: Host, state: bridge.VaultState | None, name: str = "") -> None:
    """Ask for a secret, twice, and seal it; where there is no vault yet, make one first."""
    if state is None:
        make_vault(host, lambda made: store(host, made, name))
        return

    def work(engine: bridge.Engine, named: str, value: str) -> bridge.SecretInfo:
        return engine.secret_set(named, value)

    def done(info: bridge.SecretInfo | None) -> None:
        if info is not None:
            host.say(f"{bridge.safe_line(info.name, 60)} is sealed, version {info.version}")

    title = f"Store {bridge.safe_line(name, 40)}" if name else "Store a secret"
    host.push_screen(Unseen(title, views.STORING, "value", work, "sealing it …", name=name), done)


def delete(host: Host, one: bridge.SecretInfo) -> None:
    """Say what uses it, have the name typed, delete it."""
    name = bridge.safe_line(one.name, 60)
    if one.version is None:
        host.say(f"the vault holds no {name}: there is nothing to delete", "warning")
        return

    def act() -> None:
        host.desk.act(
            lambda engine: engine.secret_delete(one.name), lambda _none: host.say(f"{name} is deleted"), _failed(host)
        )

    question = AskTyped(views.deleting(one, host.now_ms()))
    host.push_screen(question, lambda yes: act() if yes else None)


def named(host: Host, verb: str, name: str) -> None:
    """Do what ":secret VERB NAME" says."""

    def show(answer: tuple[bridge.VaultState | None, bridge.SecretInfo | None]) -> None:
        state, info = answer
        if verb == "set":
            store(host, state, name)
        elif info is None:
            host.say(f"no secret {bridge.safe_line(name, 60)!r}", "failed")
        else:
            delete(host, info)

    host.desk.read("security secret", partial(_find, name), show, _failed(host))


def _find(name: str, engine: bridge.Engine) -> tuple[bridge.VaultState | None, bridge.SecretInfo | None]:
    return engine.vault(), next((one for one in engine.secrets() if one.name == name), None)


def check(host: Host, done: Callable[[Sequence[bridge.SecretCheck]], None]) -> None:
    """Open every secret; show what cannot be had. done: called with what was found."""

    def show(found: list[bridge.SecretCheck]) -> None:
        done(found)
        bad = [one for one in found if not one.ok]
        if bad:
            host.say(f"{len(bad)} of {len(found)} cannot be had", "failed")
            host.push_screen(Reading("Secrets", views.checked(found)))
        elif found:
            host.say(f"all {len(found)} can be had")
        else:
            host.say("there is nothing to check")

    host.say("opening every secret …", "")
    host.desk.long(lambda engine, _progress: engine.secrets_check(), show, _failed(host))


# The vault


def vault(host: Host, state: bridge.VaultState | None, kept: int) -> None:
    """Make the vault where there is none, else offer what can be done to its root key."""
    if state is None:
        make_vault(host, lambda _made: None)
    else:
        change_root(host, state, kept)


def make_vault(host: Host, then: Callable[[bridge.VaultState], None]) -> None:
    """Let a place for the root key be chosen and make the vault."""

    def ask(places: Places, trouble: str = "") -> None:
        again = partial(ask, places)

        def chosen(place: str | None) -> None:
            if place and (why := places[place]) is not None:
                again(why)
            elif place:
                _with_place(host, bridge.Provider(place), make, done, again, "Make the vault")

        choices = [_place(place, why) for place, why in places.items()]
        title = "Where shall the root key be kept?"
        host.push_screen(Choose(title, choices, about=_about(views.MAKING, trouble)), chosen)

    def make(engine: bridge.Engine, provider: bridge.Provider, passphrase: str | None) -> bridge.VaultState:
        return engine.vault_create(provider, passphrase=passphrase)

    def done(state: bridge.VaultState) -> None:
        host.say(f"the vault is made; root key: {bridge.safe_line(state.words, 60)}")
        then(state)

    _ask_places(host, ask)


def change_root(host: Host, state: bridge.VaultState, kept: int) -> None:
    """Let a place for the new root key be chosen, say what happens, have the box's name typed, change it."""

    def ask(places: Places, trouble: str = "") -> None:
        again = partial(ask, places)

        def chosen(place: str | None) -> None:
            if place == _OPEN:
                _open(host)
            elif place and (why := places.get(place)) is not None:
                again(why)
            elif place:
                act(state.provider if place == _SAME else bridge.Provider(place), again)

        here = [Choice("s", _SAME, f"the same place: {bridge.safe_line(state.words, 40)}")]
        others = [_place(place, why) for place, why in places.items() if place != state.provider.value]
        opens = [Choice("o", _OPEN, "no change: open the vault for this process")] if locked else []
        question = Choose("A new root key; keep it in …", [*here, *others, *opens], about=_about((), trouble))
        host.push_screen(question, chosen)

    def act(provider: bridge.Provider, again: Failed) -> None:
        words = "" if provider == state.provider else views.PLACES[provider.value][0]
        plan = views.rotating(state, kept, host.desk.engine.settings.instance, host.now_ms(), words)
        turn = partial(_with_place, host, provider, change, done, again, "Change the root key")
        host.push_screen(AskTyped(plan), lambda yes: turn() if yes else None)

    def change(engine: bridge.Engine, provider: bridge.Provider, passphrase: str | None) -> bridge.VaultState:
        return engine.vault_rotate(provider=provider, passphrase=passphrase)

    def done(changed: bridge.VaultState) -> None:
        host.say(f"the root key is changed: {bridge.safe_line(changed.words, 60)}; make a new recovery kit")

    locked = state.provider == bridge.Provider.PASSPHRASE
    _ask_places(host, ask)


def _open(host: Host) -> None:
    """Open a vault under a passphrase for this process, until it ends."""

    def work(engine: bridge.Engine, _name: str, passphrase: str) -> bool:
        engine.vault_open(passphrase)
        return True

    def done(opened: bool | None) -> None:  # noqa: FBT001 - what a dialog returns
        if opened:
            host.say("the vault is open for this process")

    question = Unseen("Open the vault", (), "passphrase", work, "this takes a second on purpose …", twice=False)
    host.push_screen(question, done)


def _ask_places(host: Host, ask: Callable[[Places], None]) -> None:
    """Find out why each place cannot be used on this machine (None: it can), on a thread of its own: a keyring may take
    its time.
    """

    def work(engine: bridge.Engine) -> dict[str, str | None]:
        return {place: engine.vault_trouble(bridge.Provider(place)) for place in views.PLACES}

    def show(places: dict[str, str | None]) -> None:
        host.say("")
        ask(places)

    host.say("asking where a root key can be kept here …", "")
    host.desk.long(lambda engine, _progress: work(engine), show, _failed(host))


def _place(place: str, trouble: str | None) -> Choice:
    name, words = views.PLACES[place]
    return Choice(
        place[0],
        place,
        f"{name:<20}{words if trouble is None else '✗ not here; enter says why'}",
        "dim" if trouble else "",
    )


def _with_place(
    host: Host,
    provider: bridge.Provider,
    work: Callable[[bridge.Engine, bridge.Provider, str | None], bridge.VaultState],
    done: Callable[[bridge.VaultState], None],
    failed: Failed,
    title: str,
) -> None:
    """Do it on a thread of its own: a keyring may ask somebody, and a passphrase is slow on purpose."""
    if provider == bridge.Provider.PASSPHRASE:
        question = Unseen(
            title,
            views.PASSPHRASE,
            "passphrase",
            lambda engine, _name, text: work(engine, provider, text),
            "making the key; this takes a second on purpose …",
        )
        host.push_screen(question, lambda state: done(state) if state is not None else None)
        return
    host.say(f"{views.PLACES[provider.value][0]}: asking it …", "")
    host.desk.long(lambda engine, _progress: work(engine, provider, None), done, failed)


def _about(lines: Document, trouble: str) -> Document:
    return (*lines, (Span(f"✗ {trouble}", "failed"),)) if trouble else lines


def _failed(host: Host) -> Failed:
    return lambda text: host.say(text, "failed")
