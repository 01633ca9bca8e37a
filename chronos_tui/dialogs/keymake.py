"""Makes an API key: a form that is judged while it is typed. The key itself is handed on, never kept here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input

from chronos_tui import bridge
from chronos_tui.dialogs.dialog import Dialog, keys_line
from chronos_tui.keys import Command, Danger
from chronos_tui.views import when
from chronos_tui.views.prompt import hints
from chronos_tui.views.spans import Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.field import Field
from chronos_tui.widgets.lineinput import LineInput
from chronos_tui.widgets.panel import host

COMMANDS = (
    Command("make-key.accept", ("enter",), "make", "make the key", danger=Danger.PLAIN),
    Command("make-key.next", ("tab", "down"), "next field", "the next field"),
    Command("make-key.previous", ("shift+tab", "up"), "previous field", "the field before"),
    Command("make-key.leave", ("escape", "ctrl+c"), "leave", "leave without making one"),
)
_SCOPES = ("send", "read", "send,read", "send,read,admin", "admin")
_LIVES = ("30d", "90d", "365d")
_NAMES = ("name", "scopes", "targets", "networks", "expires")


class Wanted(NamedTuple):
    """What a key shall be. expires: in milliseconds UTC, None for one that does not end by itself."""

    name: str
    scopes: tuple[bridge.Scope, ...]
    targets: tuple[str, ...]
    networks: tuple[str, ...]
    expires: int | None


class _Refused(Exception):
    """What stands in a field cannot be used."""


class MakeKey(Dialog["bridge.CreatedKey | None"]):
    """Returns the key that was made, None when it was left. settings: whose targets and routes it can be bound to."""

    BINDINGS = bindings(COMMANDS)
    DEFAULT_CSS = """
    MakeKey Bar { height: 1; }
    """

    def __init__(self, settings: bridge.Settings, name: str = "") -> None:
        super().__init__()
        self._settings = settings
        complete = {
            "scopes": lambda text, _cursor: [one for one in _SCOPES if one.startswith(text.strip())],
            "targets": self._complete_targets,
            "expires": lambda text, _cursor: [one for one in _LIVES if one.startswith(text.strip())],
        }
        initial = {"name": name, "scopes": "send"}
        self._fields = {
            one: Field(one, initial.get(one, ""), complete.get(one, lambda _text, _cursor: ())) for one in _NAMES
        }
        self._hints = Bar(id="hints")
        self._trouble = Bar(id="trouble")
        self._tried = self._making = False

    def compose(self) -> ComposeResult:
        """See Screen.compose."""
        with Vertical(classes="box") as box:
            box.border_title = Content("New API key: for a program that sends or reads over HTTP")
            yield from self._fields.values()
            yield Bar()
            yield self._hints
            yield self._trouble
            yield Bar(keys_line(("enter", "makes it"), ("tab", "next field"), ("→", "completes"), ("esc", "leaves")))

    def on_mount(self) -> None:
        """Begin where something is missing."""
        self._fields["scopes" if self._fields["name"].value else "name"].line.focus()
        self._judge()

    def _complete_targets(self, text: str, _cursor: int) -> list[str]:
        before, comma, last = text.rpartition(",")
        names = [*self._settings.targets, *self._settings.routes]
        return [f"{before}{comma}{name}" for name in names if name.startswith(last.strip())] if last.strip() else []

    # Judging

    def _judge(self) -> Wanted | None:
        """Say beside each field what it means or what is wrong; return what is wanted when nothing is."""
        judges: dict[str, Callable[[str], tuple[object, str]]] = {
            "name": _name,
            "scopes": _scopes,
            "targets": self._targets,
            "networks": _networks,
            "expires": self._expires,
        }
        found: dict[str, object] = {}
        for name, judge in judges.items():
            field = self._fields[name]
            try:
                found[name], words = judge(field.value)
            except (_Refused, bridge.ChronosError) as error:
                early = not self._tried and (not field.value or bool(field.line.candidates))
                field.say(str(error), "dim" if early else "failed")
            else:
                field.say(words)
        self._show_hints()
        return Wanted(**found) if len(found) == len(judges) else None  # type: ignore[arg-type]

    def _targets(self, text: str) -> tuple[object, str]:
        names = _listed(text)
        for name in names:
            if name not in self._settings.targets and name not in self._settings.routes:
                raise bridge.unknown_target(self._settings, name)
        return names, "and no other" if names else "empty: any target"

    def _expires(self, text: str) -> tuple[object, str]:
        if not text:
            return None, "empty: never; 90d, 365d"
        at_ms = host(self).now_ms() + bridge.parse_duration_ms(text)
        if at_ms <= host(self).now_ms():
            raise _Refused("a key that has ended opens nothing")
        return at_ms, f"ends {when.full(at_ms)}"

    def _show_hints(self) -> None:
        focused = self.focused
        field = focused.parent if focused is not None and isinstance(focused.parent, Field) else None
        if field is None:
            return
        line = field.line
        shown = hints(line.value, line.candidates, line.chosen, "", " ", self._hints.size.width)
        self._hints.show(shown if line.candidates else field.words)

    def on_line_input_looked(self, event: LineInput.Looked) -> None:
        """Judge what stands there now."""
        event.stop()
        self._trouble.show(())
        self._judge()

    def on_descendant_focus(self) -> None:
        """Say what could be meant in the field that has the focus now."""
        self._judge()

    # Keys

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter, from any field."""
        event.stop()
        self.action_accept()

    def action_accept(self) -> None:
        """Make it, unless something is wrong, or it is being made already."""
        self._tried = True
        wanted = self._judge()
        if wanted is None or self._making:
            return
        self._making = True
        self._trouble.show((Span("making it …", "dim"),))

        def work(engine: bridge.Engine) -> bridge.CreatedKey:
            return engine.api_key_create(
                wanted.name,
                wanted.scopes,
                expires_ms=wanted.expires,
                targets=wanted.targets,
                networks=wanted.networks,
            )

        host(self).desk.act(work, self._made, self._refused)

    def _made(self, made: bridge.CreatedKey) -> None:
        self.dismiss(made)

    def _refused(self, text: str) -> None:
        self._making = False
        self._trouble.show((Span(f"✗ {text}", "failed"),))

    def on_line_input_left(self, event: LineInput.Left) -> None:
        """Leave it."""
        event.stop()
        self.action_leave()

    def action_next(self) -> None:
        """The next field."""
        self.focus_next()

    def action_previous(self) -> None:
        """The field before."""
        self.focus_previous()

    def action_leave(self) -> None:
        """Leave; what is being made already is shown first."""
        if not self._making:
            self.dismiss(None)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in text.replace(",", " ").split() if word))


def _name(text: str) -> tuple[object, str]:
    if not text:
        raise _Refused("who uses it: n8n, cron-box")
    return bridge.check_key_name(text), ""


def _scopes(text: str) -> tuple[object, str]:
    words = {"send": "sends messages", "read": "reads them, audit, health", "admin": "acts on them"}
    found = bridge.check_key_scopes(_listed(text))
    return found, "; ".join(words[scope] for scope in found)


def _networks(text: str) -> tuple[object, str]:
    found = bridge.check_networks(_listed(text))
    return found, "and from nowhere else" if found else "empty: from anywhere; 10.0.0.0/8"
