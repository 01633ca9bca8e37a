"""Acts on API keys: made in a form, replaced and revoked by typing the name. A key's text goes to where it is shown."""

from __future__ import annotations

from functools import partial

from chronos_tui import bridge
from chronos_tui.dialogs.bulk import AskTyped
from chronos_tui.dialogs.keymake import MakeKey
from chronos_tui.dialogs.keyshown import KeyShown
from chronos_tui.views import apikeys as views
from chronos_tui.widgets.panel import Host, Prompt

_OVERLAP = "24h"
_OVERLAPS = ("0s", "1h", "24h", "7d")


def make(host: Host, name: str = "") -> None:
    """Ask what it shall be, make it, show it once."""
    host.push_screen(MakeKey(host.desk.engine.settings, name), partial(_show, host))


def _show(host: Host, made: bridge.CreatedKey | None) -> None:
    if made is not None:
        host.push_screen(KeyShown(made, host.now_ms()))


def named(host: Host, verb: str, word: str) -> None:
    """Do what ":key VERB NAME" says."""
    if verb == "create":
        make(host, word)
        return
    act = rotate if verb == "rotate" else revoke
    read = partial(_find, word)
    host.desk.read("security key", read, lambda key: act(host, key), lambda text: host.say(text, "failed"))


def _find(word: str, engine: bridge.Engine) -> bridge.ApiKey:
    return engine.api_key(word)


def rotate(host: Host, key: bridge.ApiKey) -> None:
    """Ask for how long both shall work, say what happens, make the successor, show it once."""

    def ask(text: str) -> None:
        overlap_ms = bridge.parse_duration_ms(text)
        question = AskTyped(views.rotating(key, overlap_ms, host.now_ms()))
        host.push_screen(question, lambda yes: act(overlap_ms) if yes else None)

    def act(overlap_ms: int) -> None:
        host.desk.act(
            lambda engine: engine.api_key_rotate(key.id, overlap_ms=overlap_ms),
            partial(_show, host),
            lambda text: host.say(text, "failed"),
        )

    host.prompt(
        Prompt(
            f"the old {bridge.safe_line(key.name, 30)} works beside the new one for: ",
            ask,
            _OVERLAP,
            lambda text, _cursor: [one for one in _OVERLAPS if one.startswith(text.strip())],
            _wrong,
            hint="until then every program that has it must be given the new one",
        )
    )


def _wrong(text: str) -> str:
    try:
        overlap_ms = bridge.parse_duration_ms(text)
    except bridge.BadInput as error:
        return str(error)
    longest = bridge.LONGEST_OVERLAP_MS
    return f"at most {bridge.format_duration(longest)}" if overlap_ms > longest else ""


def revoke(host: Host, key: bridge.ApiKey) -> None:
    """Say what happens, have the name typed, revoke it."""

    def done(revoked: bridge.ApiKey) -> None:
        host.say(f"{bridge.safe_line(revoked.name, 60)} (key:{revoked.id}) opens nothing any more")

    def act() -> None:
        host.desk.act(lambda engine: engine.api_key_revoke(key.id), done, lambda text: host.say(text, "failed"))

    question = AskTyped(views.revoking(key, host.now_ms()))
    host.push_screen(question, lambda yes: act() if yes else None)
