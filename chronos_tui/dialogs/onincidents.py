"""Acts on incidents: taken over at once, ended with a note. What is possible the engine decides."""

from __future__ import annotations

from chronos_tui import bridge
from chronos_tui.views import incidents as views
from chronos_tui.widgets.panel import Host, Prompt


def acknowledge(host: Host, number: int) -> None:
    """Say that somebody looks after it."""

    def done(one: bridge.Incident) -> None:
        host.say(f"{views.heading(one)}: acknowledged; r ends it, with a note")

    host.desk.act(lambda engine: engine.incident_ack(number), done, lambda text: host.say(text, "warning"))


def resolve(host: Host, number: int, note: str = "") -> None:
    """Ask for a note unless there is one, then end it."""

    def done(one: bridge.Incident) -> None:
        host.say(f"{views.heading(one)}: resolved")

    def act(said: str) -> None:
        work = lambda engine: engine.incident_resolve(number, said)  # noqa: E731 - a name for the line below
        host.desk.act(work, done, lambda text: host.say(text, "warning"))

    if note:
        act(note)
        return
    host.prompt(
        Prompt(
            f"incident {number} is over, because: ",
            act,
            check=lambda text: "" if text.strip() else "a few words are needed: what it was, what was done",
            hint="what it was, and what was done; the audit log keeps it",
        )
    )


def named(host: Host, verb: str, number: str, note: str) -> None:
    """Do what ":incident VERB N NOTE" says."""
    if verb == "ack":
        acknowledge(host, int(number))
    else:
        resolve(host, int(number), note)
