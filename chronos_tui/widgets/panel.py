"""What a panel is to the shell, and the shell to a panel. A panel is one file in screens/; the shell knows none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from textual.widget import Widget

from chronos_tui import bridge
from chronos_tui.desk import Desk
from chronos_tui.keys import Command, Danger
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.pager import Pager

if TYPE_CHECKING:
    from textual.screen import Screen

Work = Callable[[bridge.Engine], str]
"""Takes something back; returns what was done in a sentence."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A line the operator is asked for, below the panel.

    label: what stands before it ("/", ":"). complete: whole texts for (text, cursor), the likeliest first.
    check: what is wrong with a text, "" when nothing is; shown while typing. history: its name in the session's
    histories, "" for none. accept: called with the text at Enter, which is refused while `check` objects.
    """

    label: str
    accept: Callable[[str], None]
    initial: str = ""
    complete: Callable[[str, int], list[str]] = lambda _text, _cursor: []
    check: Callable[[str], str] = lambda _text: ""
    history: str = ""
    hint: str = ""


class Host(Protocol):
    """What the shell does for panels and dialogs."""

    desk: Desk

    @property
    def read_only(self) -> bool:
        """Whether acts are refused (by the engine; this is for what is shown)."""

    def now_ms(self) -> int:
        """The engine's clock."""

    def say(self, text: str, role: str = "ok") -> None:
        """Show one line for a moment; "" ends the one that stands there. role: ok, warning or failed."""

    def prompt(self, prompt: Prompt) -> None:
        """Ask for a line."""

    def go(self, panel: str, place: str = "") -> None:
        """Open a panel at a place of its own; `-` leads back."""

    def run_line(self, line: str) -> None:
        """Do what the command line does with `line`."""

    def remember_undo(self, label: str, work: Work) -> None:
        """What `u` shall take back next."""

    def looked(self) -> None:
        """Something that footer or header show has changed: focus, marks, what a key does."""

    def push_screen(self, screen: Screen[Any], callback: Callable[[Any], None] | None = None) -> Any:
        """Show a dialog; `callback` gets what it returns."""


def host(widget: Widget | Screen[Any]) -> Host:
    """Return the shell that `widget` lives in."""
    return cast("Host", widget.app)


class Panel(Widget):
    """One numbered page of the cockpit.

    ID, NUMBER, TITLE: its name in places and at ":", its key, its word in the tabs. TOPICS: what makes it read anew.
    COMMANDS: what its keys do here, beside those of the widgets in it. FILTER: the dialect of the filter language that
    its places are written in, for completion and checks at ":". The shell calls the methods below, all of them on
    Textual's thread.
    """

    ID: ClassVar[str] = ""
    NUMBER: ClassVar[int] = 0
    TITLE: ClassVar[str] = ""
    TOPICS: ClassVar[frozenset[bridge.Topic]] = frozenset()
    COMMANDS: ClassVar[tuple[Command, ...]] = ()
    FILTER: ClassVar[Mapping[str, Any] | None] = None

    DEFAULT_CSS = """
    Panel { height: 1fr; width: 1fr; }
    """

    def __init_subclass__(cls, **options: Any) -> None:
        cls.BINDINGS = bindings(cls.COMMANDS)
        super().__init_subclass__(**options)

    def __init__(self) -> None:
        super().__init__(id=self.ID)

    @property
    def host(self) -> Host:
        """The shell."""
        return host(self)

    def reload(self) -> None:
        """Read again what is shown: it became visible, its topics moved, or a minute has passed."""
        raise NotImplementedError

    def place(self) -> str:
        """Where the operator is in it, as text that `go_to` takes: a filter, a message."""
        return ""

    def go_to(self, place: str) -> None:
        """Show that place."""

    @classmethod
    def place_of(cls, word: str) -> str:
        """Return the place of what `word` names by itself at ":" ("1042", "#1042"); "": nothing of this panel."""
        return ""

    def line(self, word: str, rest: str) -> bool:
        """Do the command whose `line` is `word` on what was typed behind it at ":". False: it takes nothing there.

        With nothing typed behind it the command's action is run instead.
        """
        return False

    def scope(self) -> str:
        """What `p` offers to pause from here: "target:ops"; "" for nothing special."""
        return ""

    def slash(self) -> Prompt | None:
        """What `/` asks for here; None where there is nothing to filter or search."""
        return None

    def jumping(self) -> bool:
        """Whether a list is on its way to other rows than are shown: what is typed meanwhile waits for them."""
        return any(pager.jumping for pager in self.query(Pager))

    def leave_pane(self) -> bool:
        """Close what is open over the list (`esc`, `q`, `-`). False: nothing was."""
        return False

    def first_pane(self) -> Widget | None:
        """What has the focus when the panel is shown, unless something in it has."""
        return next((widget for widget in self.walk_children(Widget) if widget.focusable), None)

    def clear(self) -> None:
        """What `esc` does when nothing is open: drop the marks, then the filter."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer no act where the engine would refuse every one of them."""
        if self.host.read_only:
            for command in self.COMMANDS:
                if command.action == action and command.danger is not Danger.NONE:
                    return False
        return super().check_action(action, parameters)

    def saved(self) -> dict[str, Any]:
        """What a session keeps of it, as JSON values."""
        return {}

    def restore(self, saved: dict[str, Any]) -> None:
        """Set up as it was saved; called before it is shown. Whatever it does not understand it leaves out."""

    @classmethod
    def badge(cls, counts: Mapping[str, int]) -> tuple[str, str]:
        """What stands beside its word in the tabs, with a role: ("3 dead", "failed"). counts: messages per state."""
        return "", ""

    def own_badge(self, counts: Mapping[str, int]) -> tuple[str, str]:
        """The same once it has been opened, when it knows more than the counts."""
        return self.badge(counts)
