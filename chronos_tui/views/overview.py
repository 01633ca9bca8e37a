"""What each box of the overview says, as items for a cursor. Pure; nothing in it changes by the second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chronos_tui import bridge
from chronos_tui.views import audit, incidents, times, when
from chronos_tui.views.outbox import STATES
from chronos_tui.views.shell import SILENT_MS
from chronos_tui.views.spans import Line, Span, width
from chronos_tui.views.sparkline import bars

MINUTES = 60
_ALWAYS = ("dead", "queued", "delivered")
_NAME = 16
_LABEL = 17
_ROOMY = 90
_MOST_INCIDENTS = 5


@dataclass(frozen=True, slots=True)
class Item:
    """A piece of a box: a line of its own, or behind the one before it if `beside` and there is room.

    key: what the cursor knows it by; "": the cursor passes it over. panel, place: where Enter leads. line: or what
    Enter does, as the command line spells it.
    """

    spans: Line
    key: str = ""
    beside: bool = False
    panel: str = ""
    place: str = ""
    line: str = ""


Items = tuple[Item, ...]


def flow(items: Items, cells: int) -> tuple[tuple[Item, ...], ...]:
    """Return the items line by line; each takes two cells more than its text, for the cursor."""
    lines: list[list[Item]] = []
    left = 0
    for item in items:
        needs = 2 + width(item.spans)
        if lines and item.beside and lines[-1][-1].beside and needs <= left:
            lines[-1].append(item)
        else:
            lines.append([item])
            left = cells
        left -= needs
    return tuple(tuple(line) for line in lines)


# Outbox


def outbox(situation: bridge.Situation, activity: bridge.Activity, now_ms: int, cells: int) -> Items:
    """Return the counts, what waits longest, deliveries and failures of the last hour."""
    counts = situation.counts
    if not any(counts.values()):
        return (Item((Span("No message yet. "), Span("n", "accent"), Span(" writes one."))),)
    items = [
        Item(
            (Span(f"{symbol} {times.number(counts.get(state, 0))} {state}  ", role if counts.get(state) else "dim"),),
            state,
            beside=True,
            panel="outbox",
            place=f"state:{state}",
        )
        for state, (symbol, role) in STATES.items()
        if counts.get(state) or state in _ALWAYS
    ]
    items.append(_oldest(situation.oldest_due_ms, now_ms))
    return (*items, *_hour(activity, cells))


def _oldest(due_ms: int | None, now_ms: int) -> Item:
    if due_ms is None:
        return Item((Span("nothing is late", "dim"),))
    late = now_ms - due_ms >= 5 * 60_000
    words = Span(f"{'! ' if late else ''}oldest due {when.ago(due_ms, now_ms)}", "warning" if late else "")
    return Item((words,), "late", panel="outbox", place="state:queued due<0s")


def _hour(activity: bridge.Activity, cells: int) -> Items:
    """Return a row of bars for deliveries and one for failures, and what their axes are."""
    room = cells - 2 - _LABEL
    each = max(1, -(-len(activity.delivered) // max(1, room)))
    items = []
    for name, values, role in (("delivered", activity.delivered, "ok"), ("failed", activity.failed, "failed")):
        drawn = bars(values, -(-len(values) // each)) if any(values) else ""
        label = f"{name:<9}{times.number(sum(values)):>7} "
        items.append(Item((Span(label, "" if any(values) else "dim"), Span(drawn, role))))
    most = [max(_by(values, each), default=0) for values in (activity.delivered, activity.failed)]
    highest = f", highest {times.number(most[0])} and {times.number(most[1])}" if any(most) else ""
    axis = f"{'':<{_LABEL}}{len(activity.delivered)} min, {each} min a bar"
    if len(axis) + len(highest) <= cells - 2:
        axis += highest
    return (*items, Item((Span(axis, "dim"),)))


def _by(values: Sequence[int], each: int) -> list[int]:
    """Add neighbours up as the bars do: from the latest on."""
    return [sum(values[max(0, end - each) : end]) for end in range(len(values), 0, -each)]


# Targets


def targets(states: Sequence[bridge.TargetState], troubles: Mapping[str, str], now_ms: int, cells: int) -> Items:
    """Return a line a target, then servers of ad hoc addresses that are in trouble."""
    known = {one.lane.lane for one in states}
    items = [_target(one, now_ms, cells) for one in states]
    for lane, words in troubles.items():
        if lane not in known:
            # Without what it says of the time left, which changes by the second.
            said = words.partition(", next probe")[0].partition(" for another")[0]
            items.append(Item((*_name("!", lane, "warning"), Span(bridge.safe_line(said, 100), "warning"))))
    if not items:
        return (Item((Span("No target is configured. 'chronos config path' names the file.", "dim"),)),)
    return tuple(items)


def _target(one: bridge.TargetState, now_ms: int, cells: int) -> Item:
    symbol, role, words = target_state(one, now_ms)
    last = ", ".join(
        f"{name} {when.ago(at_ms, now_ms)}"
        for name, at_ms in (("delivered", one.lane.last_success_ms), ("failed", one.lane.last_failure_ms))
        if at_ms is not None
    )
    name = _name(symbol, one.spec.name, role)
    room = cells - 2 - width(name) - len(last) - 2
    if room < 12:
        room, last = room + len(last) + 2, ""
    shown = Span(pad(words, max(0, room)), role if role != "ok" else "")
    spec = one.spec.name
    key = f"target:{spec}" if all(char.isalnum() or char in "._-" for char in spec) else f'target:"{_escaped(spec)}"'
    return Item((*name, shown, Span(f"  {last}" if last else "", "dim")), spec, panel="outbox", place=key)


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


def target_state(one: bridge.TargetState, now_ms: int) -> tuple[str, str, str]:
    """Return how a target fares: symbol, role, words that stay the same for a minute."""
    lane = one.lane
    breaker = lane.breaker
    if lane.disabled_reason:
        return "✗", "failed", f"disabled: {bridge.safe_line(lane.disabled_reason, 200)}"
    if lane.throttled_until_ms > now_ms:
        return "⏸", "held", f"the receiver wants a pause, {when.left(lane.throttled_until_ms, now_ms)}"
    if breaker.state != bridge.BreakerState.CLOSED:
        probe = (
            "a probe is under way"
            if breaker.state == bridge.BreakerState.HALF_OPEN
            else _probe(breaker.probe_ms, now_ms)
        )
        return "✗", "failed", f"breaker open, {probe}: {bridge.safe_line(breaker.reason, 200)}"
    if breaker.failures_in_row:
        tries = f"{breaker.failures_in_row} failed in a row" if breaker.failures_in_row > 1 else "the last try failed"
        return "!", "warning", f"{tries}: {bridge.safe_line(lane.last_word, 200)}"
    rate = one.spec.rate
    limit = f", at most {rate.limit} in {bridge.format_duration(rate.per_ms)}" if rate is not None else ""
    used = "sends" if lane.last_success_ms is not None else "no delivery yet"
    return ("✓", "ok", used + limit) if lane.last_success_ms is not None else ("·", "dim", used + limit)


def _probe(probe_ms: int, now_ms: int) -> str:
    return f"next probe {times.coarse(probe_ms, now_ms)}" if probe_ms > now_ms else "next probe now"


def _name(symbol: str, name: str, role: str) -> Line:
    return (Span(f"{symbol} ", role), Span(f"{pad(bridge.safe_line(name, 100), _NAME)} ", "bold"))


# Holds


def holds(found: Sequence[bridge.Hold], now_ms: int, cells: int) -> Items:
    """Return a line a hold, the first to end first."""
    if not found:
        return (Item((Span("Nothing is held. ", "dim"), Span("p", "accent"), Span(" pauses.", "dim"))),)
    items = []
    for hold in sorted(found, key=lambda one: (one.until_ms, one.scope)):
        kind, _, name = hold.scope.partition(":")
        scope = "everything" if hold.scope == "all" else f"{kind} {bridge.safe_line(name, 60)}"
        why = f": {bridge.safe_line(hold.reason, 200)}" if hold.reason else ""
        by = Span(f"  by {bridge.safe_line(hold.actor, 60)}{why}", "dim")
        spans = (Span(f"⏸ {scope}", "held"), Span(f"  {when.left(hold.until_ms, now_ms)}"), by)
        items.append(Item(cut(spans, cells - 2), hold.scope, line=f'resume "{_escaped(hold.scope)}"'))
    return tuple(items)


# Audit


def entries(found: Sequence[bridge.AuditEntry], now_ms: int, cells: int) -> Items:
    """Return a line an entry."""
    if not found:
        return (Item((Span("Nothing was done here yet.", "dim"),)),)
    items = []
    roomy = cells >= _ROOMY
    for entry in found:
        risk, _seq, at, actor, action, subject, words = audit.cells(entry, now_ms, wide=False)
        spans = (
            Span(f"{risk.text or ' '}", risk.role),
            Span(f"{at.text:>6} ", "dim"),
            Span(f"{pad(action.text, 21 if roomy else 17)} ", action.role),
            Span(f"{pad(subject.text, 24 if roomy else 9)} "),
            Span(f"{words.text}  "),
            Span(actor.text, "dim"),
        )
        items.append(Item(cut(spans, cells - 2), str(entry.seq), panel="audit", place=f"@{entry.seq}"))
    return tuple(items)


# Engine


def engine(situation: bridge.Situation, version: str, now_ms: int, cells: int) -> Items:
    """Return who delivers, whether the database takes writes, what went wrong and is not resolved."""
    role = _role(situation, now_ms)
    if width(role) > cells - 2:
        role = role[:1]  # what is left of the rest would say nothing
    items = [Item(cut(role, cells - 2))]
    items += [_incident(one, now_ms, cells) for one in situation.incidents[:_MOST_INCIDENTS]]
    more = len(situation.incidents) - _MOST_INCIDENTS
    if more > 0:
        words = (Span(f"and {times.number(more)} more incidents", "warning"),)
        items.append(Item(words, "incidents", panel="security", place="incidents"))
    items += [Item(cut(line, cells - 2)) for line in (_database(situation), _versions(situation, version))]
    return tuple(items)


def _incident(one: bridge.Incident, now_ms: int, cells: int) -> Item:
    """Return an incident; Enter leads to its page."""
    looked = one.state == "acknowledged"
    bad = incidents.severity(one.severity)
    words = bridge.safe_line(f"  {incidents.title(one.kind)}: {one.subject}", 200)
    often = f"  {times.number(one.count)} times, last {when.ago(one.last_ms, now_ms)}" if one.count > 1 else ""
    since = often or f"  {when.ago(one.first_ms, now_ms)}"
    seen = Span("  acknowledged" if looked else "", "dim")
    line = (bad, Span(words, "" if not looked else "dim"), Span(since, "dim"), seen)
    return Item(cut(line, cells - 2), f"incident {one.id}", panel="security", place=f"incidents/{one.id}")


def _role(situation: bridge.Situation, now_ms: int) -> Line:
    leader = situation.leader
    mode = bridge.safe_line(leader.mode, 20)
    silent_ms = now_ms - situation.heartbeat_ms
    if situation.owner is None:
        last = f"; the last was pid {leader.pid} ({mode}), {when.ago(leader.heartbeat_ms, now_ms)}"
        return (Span("✗ nobody delivers", "failed"), Span(last if leader.heartbeat_ms else "", "dim"))
    who = "delivering here" if situation.here else f"delivered by pid {situation.owner.pid or '?'} ({mode})"
    started_ms = situation.owner.started_ms or leader.started_ms
    since = Span(f"  since {times.moment(started_ms, now_ms)}, epoch {leader.epoch}", "dim")
    if silent_ms > SILENT_MS:
        silence = Span(f"✗ {who}, but silent since {times.moment(situation.heartbeat_ms, now_ms)}", "failed")
        return (silence, since)
    return (Span(f"✓ {who}, heartbeat ok", "ok"), since)


def _database(situation: bridge.Situation) -> Line:
    if situation.degraded:
        return (Span("✗ database DEGRADED: nothing is taken; chronos doctor --fix", "failed"),)
    return (Span("✓ database answers", "ok"),)


def _versions(situation: bridge.Situation, version: str) -> Line:
    running = bridge.safe_line(situation.leader.version, 30)
    if situation.owner is not None and running and running != version:
        return (Span(f"! the engine is Chronos {running}, this cockpit {version}: restart the older one", "warning"),)
    return (Span(f"Chronos {version}", "dim"),)


def cut(line: Line, cells: int) -> Line:
    """Return a line in at most so many cells."""
    left = max(0, cells)
    found: list[Span] = []
    for text, role in line:
        shown = text if width((Span(text),)) <= left else pad(text, left)
        found.append(Span(shown, role))
        left -= width((Span(shown),))
    return tuple(span for span in found if span.text)


def pad(text: str, cells: int) -> str:
    """Return `text` in exactly so many cells; what is cut ends in "…"."""
    from rich.cells import cell_len, set_cell_size

    if cells <= 0:
        return ""
    return set_cell_size(text, cells) if cell_len(text) <= cells else set_cell_size(text, cells - 1) + "…"
