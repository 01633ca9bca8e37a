"""Makes a message of a kept event once more: which one is chosen, then asked. The engine decides what is possible."""

from __future__ import annotations

from chronos_tui import bridge
from chronos_tui.desk import Failed
from chronos_tui.dialogs.choose import Choice, Choose
from chronos_tui.dialogs.confirm import Confirm
from chronos_tui.views import sources as views
from chronos_tui.views.spans import line_text
from chronos_tui.widgets.panel import Host

_MOST = 50


def choose(host: Host, source: str) -> None:
    """Let one of the newest events of a source be chosen, then ask."""

    def show(found: list[bridge.Event]) -> None:
        if not found:
            host.say(f"no event of {bridge.safe_line(source, 40)} is kept", "warning")
            return
        now_ms = host.now_ms()
        choices = [Choice("", str(one.id), line_text(views.event_line(one, now_ms)).strip()) for one in found]
        title = f"Replay which event of {bridge.safe_line(source, 30)}?"
        host.push_screen(Choose(title, choices), lambda number: replay(host, int(number)) if number else None)

    host.desk.read("security events", lambda engine: engine.events(source, limit=_MOST), show, _failed(host))


def replay(host: Host, number: int) -> None:
    """Say what it was, ask, make a message of it."""

    def ask(one: bridge.Event) -> None:
        question = Confirm(f"Replay event {number}", views.replaying(one, host.now_ms()), "replay it")
        host.push_screen(question, lambda yes: host.desk.act(work, done, _failed(host)) if yes else None)

    def work(engine: bridge.Engine) -> int:
        return engine.detail(engine.event_replay(number)).message.id

    def done(message_id: int) -> None:
        host.say(f"event {number} became message #{message_id}; ':#{message_id}' opens it")

    host.desk.read("security event", lambda engine: engine.event(number), ask, _failed(host))


def _failed(host: Host) -> Failed:
    return lambda text: host.say(text, "failed")
