"""What front ends show: pages, one message with its story, counts, targets. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import NotFound
from engine.model import Attachment, Attempt, Content, Hold, Message, TargetSpec
from engine.operations import acts, lanekeeping, ordering
from engine.operations.context import Context, target_spec
from engine.rules import filters
from engine.rules.explain import Explanation, explain
from engine.rules.filters import Filter
from engine.store import attempts, lanes, messages, search
from engine.store.lanes import Lane
from engine.store.tx import Tx

COUNT_MOST = 100_000
"""Matches are counted up to here; beyond it "100 000+" says enough and costs nothing more."""


@dataclass(frozen=True, slots=True)
class Detail:
    """Everything about one message. attachments: (name, content type, bytes)."""

    message: Message
    attempts: tuple[Attempt, ...]
    tags: tuple[str, ...]
    attachments: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Messages in order of id. next_cursor: what to pass as the cursor for the page behind; None at the end."""

    messages: tuple[Message, ...]
    next_cursor: int | None


@dataclass(frozen=True, slots=True)
class TargetState:
    """A target and how it fares. trouble: what keeps it from sending, in words; None when nothing does."""

    spec: TargetSpec
    lane: Lane
    trouble: str | None


def page(
    context: Context,
    expression: str | Filter = "",
    *,
    limit: int = 50,
    cursor: int | None = None,
    newest_first: bool = True,
) -> Page:
    """Return one page by the shared filter language. `cursor` is the id that the page before ended with.

    Raises BadInput for a bad expression, DeadlineExceeded when it would take too long.
    """
    terms = filters.parse(expression) if isinstance(expression, str) else expression
    now_ms = context.clock.now_ms()
    span = {"before" if newest_first else "after": cursor} if cursor is not None else {}
    found = context.database.read(
        lambda tx: search.page(tx, terms, now_ms=now_ms, limit=limit + 1, newest_first=newest_first, **span)
    )
    shown = found[:limit]
    return Page(tuple(shown), shown[-1].id if len(found) > limit else None)


def count(context: Context, expression: str | Filter, most: int = COUNT_MOST) -> int:
    """Return how many match, counted up to `most`."""
    terms = filters.parse(expression) if isinstance(expression, str) else expression
    now_ms = context.clock.now_ms()
    return context.database.read(lambda tx: search.count(tx, terms, now_ms=now_ms, most=most))


def detail(context: Context, handle: int | str) -> Detail:
    """Return one message by number or uid. Raises NotFound."""

    def work(tx: Tx) -> Detail:
        message = acts.find(tx, handle)
        return Detail(
            message,
            tuple(attempts.history(tx, message.id)),
            messages.tags(tx, message.id),
            tuple(messages.attachment_names(tx, message.id)),
        )

    return context.database.read(work)


def content(context: Context, handle: int | str, *, files: bool = True) -> Content:
    """Return what a message says; files: attachments too, with their bytes. Raises NotFound."""
    return context.database.read(lambda tx: messages.content(tx, acts.find(tx, handle).id, files=files))


def attachment(context: Context, handle: int | str, position: int) -> Attachment:
    """Return one attachment with its bytes, by its position from 0. Raises NotFound."""

    def work(tx: Tx) -> Attachment:
        message = acts.find(tx, handle)
        found = messages.attachment(tx, message.id, position)
        if found is None:
            raise NotFound(f"message #{message.id} has no attachment {position}; 'chronos outbox show' lists them")
        return found

    return context.database.read(work)


def tags_of(context: Context, ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return the tags of many messages by their numbers, sorted; () for one without."""
    return context.database.read(lambda tx: messages.tags_of(tx, ids))


def explained(context: Context, handle: int | str) -> Explanation:
    """Tell the message's story: what happened, where it stands, what to do. Raises NotFound."""
    now_ms = context.clock.now_ms()

    def work(tx: Tx) -> Explanation:
        message = acts.find(tx, handle)
        spec = target_spec(context.settings, message.target)
        lane = lanes.get(tx, message.lane)
        watched = spec is None or spec.breaker or bool(lane.disabled_reason)
        key = message.ordering_key
        return explain(
            message,
            attempts.history(tx, message.id),
            now_ms,
            holds=lanes.active_holds(tx, now_ms),
            breaker_words=lanekeeping.words(lane, now_ms) if watched else None,
            order_blocker=ordering.blocker(tx, context.settings, key, message.id) if key is not None else None,
            route=context.settings.routes.get(message.route),
        )

    return context.database.read(work)


def counts(context: Context) -> dict[str, int]:
    """Return how many messages stand in each state."""
    return context.database.read(messages.counts)


def holds(context: Context) -> list[Hold]:
    """Return the holds in force."""
    now_ms = context.clock.now_ms()
    return context.database.read(lambda tx: lanes.active_holds(tx, now_ms))


def targets(context: Context) -> list[TargetState]:
    """Return every configured target with its state."""
    known = context.database.read(lanes.all_lanes)
    now_ms = context.clock.now_ms()
    states = []
    for name, spec in context.settings.targets.items():
        lane = known.get(name) or Lane(name)
        states.append(TargetState(spec, lane, lanekeeping.words(lane, now_ms)))
    return states


def oldest_due_ms(tx: Tx, now_ms: int) -> int | None:
    """Return when the message that waits longest became due; None when nothing is late."""
    times = [
        due_ms
        for lane, template in attempts.partitions(tx)
        for priority in (0, 1, 2, 3)
        if (due_ms := attempts.next_due(tx, lane, template, priority)) is not None and due_ms <= now_ms
    ]
    return min(times, default=None)
