"""Panel 1, Overview: how the box fares at one look. Each box is one entry of BOXES: what it asks, how it looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from textual.app import ComposeResult
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from chronos_tui import bridge
from chronos_tui.dialogs.confirm import Confirm
from chronos_tui.dialogs.probe import Probe
from chronos_tui.keys import Command, Danger
from chronos_tui.views import backupsbox as backups
from chronos_tui.views import grid
from chronos_tui.views import overview as views
from chronos_tui.views.overview import MINUTES, Item, Items
from chronos_tui.views.spans import Span
from chronos_tui.widgets.pane import Pane
from chronos_tui.widgets.panel import Panel, Prompt

_ENTRIES = 60


class Minutes:
    """What ended in each of the last minutes; a minute that is over is read once. For the reader's thread."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}

    def read(self, engine: bridge.Engine) -> bridge.Activity:
        """Return the last MINUTES minutes, the present one last."""
        newest = max(self._known, default=None)
        if newest is not None and newest > engine.context.clock.now_ms():
            self._known.clear()  # the clock was set back
            newest = None
        found = engine.activity(MINUTES, since_ms=newest)
        for at, pair in enumerate(zip(found.delivered, found.failed, strict=True)):
            self._known[found.start_ms + at * bridge.MINUTE_MS] = pair
        last = max(self._known)
        span = [last - back * bridge.MINUTE_MS for back in range(MINUTES - 1, -1, -1)]
        self._known = {at: self._known.get(at, (0, 0)) for at in span}
        delivered, failed = zip(*self._known.values(), strict=True)
        return bridge.Activity(span[0], delivered, failed)


Query = Callable[[bridge.Engine, Minutes], Any]
View = Callable[[Any, int, int], Items]


@dataclass(frozen=True, slots=True)
class Box:
    """One box. query: asks the engine, on the reader's thread. view: the answer as items, for (answer, now_ms, cells).

    topics: what makes it read anew. least: rows without which it is not shown, its title among them.
    """

    name: str
    title: str
    topics: frozenset[bridge.Topic]
    query: Query
    view: View
    least: int
    endless: bool = False


BOXES = (
    Box(
        "outbox",
        "Outbox",
        frozenset({bridge.Topic.OUTBOX}),
        lambda engine, minutes: (engine.situation(), minutes.read(engine)),
        lambda found, now_ms, cells: views.outbox(found[0], found[1], now_ms, cells),
        least=6,
    ),
    Box(
        "targets",
        "Targets",
        frozenset({bridge.Topic.OUTBOX, bridge.Topic.AUDIT}),
        lambda engine, _minutes: (engine.targets(), engine.situation().troubles),
        lambda found, now_ms, cells: views.targets(found[0], found[1], now_ms, cells),
        least=3,
    ),
    Box(
        "holds",
        "Holds",
        frozenset({bridge.Topic.AUDIT}),
        lambda engine, _minutes: engine.holds(),
        views.holds,
        least=2,
    ),
    Box(
        "backups",
        "Backups",
        frozenset({bridge.Topic.BACKUPS}),
        lambda engine, _minutes: engine.backup_standing(),
        backups.items,
        least=2,
    ),
    Box(
        "audit",
        "Audit",
        frozenset({bridge.Topic.AUDIT}),
        lambda engine, _minutes: engine.audit_look(limit=_ENTRIES).entries,
        views.entries,
        least=3,
        endless=True,
    ),
    Box(
        "engine",
        "Engine",
        frozenset({bridge.Topic.ENGINE, bridge.Topic.SECURITY}),
        lambda engine, _minutes: engine.situation(),
        lambda found, now_ms, cells: views.engine(found, bridge.__version__, now_ms, cells),
        least=3,
    ),
)


class _Grid(Layout):
    """Places boxes as views.grid says."""

    name = "overview"

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:  # noqa: FBT001, FBT002 - Textual's signature
        """See Layout.arrange."""
        parent.pre_layout(self)
        cells = grid.column_width(size.width)
        panes = [child for child in children if isinstance(child, Pane)]
        places = grid.place([pane.wish(cells) for pane in panes], size.width, size.height)
        return [
            WidgetPlacement(Region(*place), NULL_OFFSET, NULL_SPACING, pane)
            for pane, place in zip(panes, places, strict=True)
        ]


class Overview(Panel):
    """The situation, in boxes."""

    ID = "overview"
    NUMBER = 1
    TITLE = "Overview"
    TOPICS = frozenset().union(*(box.topics for box in BOXES))
    COMMANDS = (
        Command("overview.test", ("t",), "test", "try the target under the cursor without sending", rank=20),
        Command(
            "overview.enable",
            ("o",),
            "enable",
            "let the target under the cursor send again: lifts a disable, closes its breaker",
            rank=30,
            danger=Danger.FINAL,
        ),
    )

    def __init__(self) -> None:
        super().__init__()
        self._minutes = Minutes()
        self._panes = {box.name: Pane(box.name, box.title, least=box.least, endless=box.endless) for box in BOXES}
        self._answers: dict[str, Any] = {}
        self._states: Mapping[str, bridge.TargetState] = {}
        self._offered = ""
        self._grid = _Grid()

    @property
    def layout(self) -> Layout:
        """See Widget.layout."""
        return self._grid

    def compose(self) -> ComposeResult:
        """See Widget.compose."""
        yield from self._panes.values()

    def slash(self) -> Prompt:
        """See Panel.slash: there is no list here, so the outbox opens with what is typed."""
        return Prompt("/", lambda text: self.host.go("outbox", text), history="outbox", hint="a filter for the outbox")

    def reload(self) -> None:
        """See Panel.reload."""
        self.host.desk.read(
            "overview", self._read, self._take, lambda text: self._take(dict.fromkeys(self._panes, text))
        )

    def _read(self, engine: bridge.Engine) -> dict[str, Any]:
        """Ask for each box; one that fails leaves the others alone."""
        answers: dict[str, Any] = {}
        for box in BOXES:
            try:
                answers[box.name] = box.query(engine, self._minutes)
            except bridge.ChronosError as error:
                answers[box.name] = bridge.safe_line(str(error), 300)
        return answers

    def _take(self, answers: dict[str, Any]) -> None:
        self._answers = answers
        found = answers["targets"]
        self._states = {} if isinstance(found, str) else {one.spec.name: one for one in found[0]}
        self._show()

    def _show(self) -> None:
        cells = grid.column_width(self.size.width)
        now_ms = self.host.now_ms()
        grown: Pane | None = None
        for box in BOXES:
            if box.name not in self._answers:
                continue
            answer = self._answers[box.name]
            failed = isinstance(answer, str)
            items = (Item((Span(f"✗ {answer}", "failed"),)),) if failed else box.view(answer, now_ms, cells)
            if self._panes[box.name].show(items):
                grown = self._panes[box.name]
        if grown is not None:
            grown.refresh(layout=True)  # a child's: it is what makes Textual place all of them anew
        if self._target() != self._offered:
            self._note_cursor()

    def on_resize(self) -> None:
        """Fit the lines to the columns."""
        if self._answers:
            self._show()

    # Places

    def place(self) -> str:
        """The box and what the cursor is on in it."""
        pane = self._focused()
        return "" if pane is None else f"{pane.pane_name}/{pane.item.key if pane.item is not None else ''}"

    def go_to(self, place: str) -> None:
        """Put the cursor there."""
        name, _, key = place.partition("/")
        if name in self._panes:
            self._panes[name].put(key)
            self.screen.set_focus(self._panes[name])  # at once: the shell then leaves the focus where it is

    def saved(self) -> dict[str, Any]:
        """See Panel.saved."""
        return {"place": self.place()}

    def restore(self, saved: dict[str, Any]) -> None:
        """See Panel.restore."""
        if isinstance(place := saved.get("place"), str):
            self.go_to(place)

    def scope(self) -> str:
        """A target under the cursor."""
        name = self._target()
        return f"target:{name}" if name else ""

    def _focused(self) -> Pane | None:
        return next((pane for pane in self._panes.values() if pane.has_focus), None)

    def _target(self) -> str:
        """The configured target under the cursor; ""."""
        pane = self._focused()
        if pane is None or pane.pane_name != "targets" or pane.item is None:
            return ""
        return pane.item.key if pane.item.key in self._states else ""

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what the cursor is on."""
        if action in ("test", "enable") and not self._target():
            return False
        return super().check_action(action, parameters)

    def on_pane_opened(self, event: Pane.Opened) -> None:
        """Go to the thing, or ask about it."""
        event.stop()
        if event.item.line:
            self.host.run_line(event.item.line)
        elif event.item.panel:
            self.host.go(event.item.panel, event.item.place)

    def on_pane_moved(self, event: Pane.Moved) -> None:
        """Other keys may work here."""
        event.stop()
        self._note_cursor()

    def on_descendant_focus(self) -> None:
        """See on_pane_moved."""
        self._note_cursor()

    def _note_cursor(self) -> None:
        self._offered = self._target()
        self.host.looked()

    def action_test(self) -> None:
        """Try the target."""
        state = self._states[self._target()]
        self.host.push_screen(Probe(state.spec.name, state.spec.timeout_ms))

    def action_enable(self) -> None:
        """Ask, then enable the target."""
        name = self._target()
        state = self._states[name]
        shown = bridge.safe_line(name, 60)
        if state.trouble is None:
            self.host.say(f"nothing keeps {shown} from sending", "warning")
            return
        _symbol, role, words = views.target_state(state, self.host.now_ms())
        lines = (
            (Span(f"{shown} "), Span(words[:200], role)),
            (Span("Its messages go on at once; it is switched off again if it fails again."),),
        )
        self.host.push_screen(Confirm("Enable", lines, "enable"), lambda yes: self._enable(name) if yes else None)

    def _enable(self, name: str) -> None:
        shown = bridge.safe_line(name, 60)

        def done(lifted: object) -> None:
            self.host.say(f"{shown} sends again" if lifted else f"nothing kept {shown} from sending")

        self.host.desk.act(lambda engine: engine.enable_target(name), done, lambda text: self.host.say(text, "failed"))
