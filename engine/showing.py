"""What the engine shows to a front end, owner or attached: every reading method of class Engine. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from engine.intake import Intake
from engine.model import Attachment, Content, Hold, Role
from engine.operations import bulk, reading
from engine.operations.bulk import Bulk

if TYPE_CHECKING:
    from engine.operations.activity import Activity
    from engine.operations.auditing import Entry, Progress
    from engine.operations.auditing import Page as AuditPage
    from engine.operations.health import Check
    from engine.operations.situation import Situation
    from engine.operations.sorting import SortedPage
    from engine.operations.watching import ChangeFeed
    from engine.rules.canonical import ChainResult
    from engine.rules.explain import Explanation
    from engine.rules.filters import Filter
    from engine.rules.orders import Order, Place


class Showing(Intake):
    """The reading half of the engine. Every method may be called from any thread, in any process."""

    role = Role.ATTACHED

    # The outbox

    def page(
        self, expression: str = "", *, limit: int = 50, cursor: int | None = None, newest_first: bool = True
    ) -> reading.Page:
        """One page by the shared filter language; see operations.reading.page."""
        return reading.page(self.context, expression, limit=limit, cursor=cursor, newest_first=newest_first)

    def sorted_page(
        self,
        expression: str | Filter,
        order: Order,
        *,
        descending: bool = False,
        at: Place | None = None,
        after: Place | None = None,
        before: Place | None = None,
        from_end: bool = False,
        limit: int = 50,
    ) -> SortedPage:
        """One page in any order, forwards or backwards from a place; see operations.sorting.page.

        Raises NotPossible where no index serves the order and too many match.
        """
        from engine.operations import sorting

        return sorting.page(
            self.context,
            expression,
            order,
            descending=descending,
            at=at,
            after=after,
            before=before,
            from_end=from_end,
            limit=limit,
        )

    def count(self, expression: str) -> int:
        """How many match, counted up to reading.COUNT_MOST."""
        return reading.count(self.context, expression)

    def counts(self) -> dict[str, int]:
        """How many messages stand in each state."""
        return reading.counts(self.context)

    def detail(self, handle: int | str) -> reading.Detail:
        """One message by number or uid. Raises NotFound."""
        return reading.detail(self.context, handle)

    def tags_of(self, ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """The tags of many messages by their numbers, sorted; () for one without."""
        return reading.tags_of(self.context, ids)

    def content(self, handle: int | str, *, files: bool = True) -> Content:
        """What a message says; files: attachments too, with their bytes. Raises NotFound."""
        return reading.content(self.context, handle, files=files)

    def attachment(self, handle: int | str, position: int) -> Attachment:
        """One attachment with its bytes, by its position in the detail, from 0. Raises NotFound."""
        return reading.attachment(self.context, handle, position)

    def explain(self, handle: int | str) -> Explanation:
        """A message's story: what happened, where it stands, what to do. Raises NotFound."""
        return reading.explained(self.context, handle)

    def bulks(self) -> list[Bulk]:
        """The newest bulk acts, newest first."""
        return self.context.database.read(bulk.recent)

    # Holds and targets

    def holds(self) -> list[Hold]:
        """The holds in force."""
        return reading.holds(self.context)

    def targets(self) -> list[reading.TargetState]:
        """Every configured target and how it fares."""
        return reading.targets(self.context)

    # Truth

    def audit_page(self, expression: str = "", *, limit: int = 50, before: int | None = None) -> list[Entry]:
        """Entries of the audit log that match, newest first."""
        from engine.operations import auditing

        return auditing.page(self.context, expression, limit=limit, before=before)

    def audit_look(
        self,
        expression: str | Filter = "",
        *,
        limit: int = 50,
        before: int | None = None,
        after: int | None = None,
        from_oldest: bool = False,
    ) -> AuditPage:
        """A page of the audit log in either direction, in bounded time; see operations.auditing.look."""
        from engine.operations import auditing

        return auditing.look(self.context, expression, limit=limit, before=before, after=after, from_oldest=from_oldest)

    def audit_verify(self, progress: Progress | None = None, *, former: Sequence[str] = ()) -> ChainResult:
        """Prove the whole log; see operations.verifying.verify."""
        from engine.operations import verifying

        return verifying.verify(self.context, progress, former=former)

    def audit_export(self, since_ms: int | None = None, progress: Progress | None = None) -> Iterator[str]:
        """The audit log as JSON Lines, oldest first; see operations.auditing.export."""
        from engine.operations import auditing

        return auditing.export(self.context, since_ms, progress)

    def situation(self) -> Situation:
        """The situation in one typed record; cheap enough to be asked for each second."""
        from engine.operations.situation import situation

        return situation(self.context, self.owner(), here=self.role is Role.OWNER)

    def metrics(self) -> str:
        """What the database knows, in Prometheus' text format; what only the running engine counts is at /metrics."""
        from engine.operations import metrics

        return metrics.render(metrics.of_outbox(self.context))

    def status(self) -> dict[str, Any]:
        """The situation in one document."""
        from engine.operations import health

        return health.status(self.situation())

    def activity(self, minutes: int = 60, *, since_ms: int | None = None) -> Activity:
        """Deliveries and failures of the last minutes; see operations.activity."""
        from engine.operations.activity import activity

        return activity(self.context, minutes, since_ms=since_ms)

    def known_values(self) -> dict[str, tuple[str, ...]]:
        """The values that filters may name, by field; see operations.knowing."""
        from engine.operations import knowing

        return knowing.known_values(self.context)

    def scope_of(self, word: str) -> str:
        """The scope that a person means by a word. Raises BadInput, NotFound; see operations.knowing."""
        from engine.operations import knowing

        return knowing.scope_of(self.context, word)

    def health(self) -> list[Check]:
        """Every check with value, threshold and what to do about it."""
        from engine.operations import health

        return health.checks(self.context, self.paths, self.owner(), self._env)

    def changes(self) -> ChangeFeed:
        """A change feed for one thread of a front end."""
        from engine.operations.watching import ChangeFeed

        return ChangeFeed(self.context.database)

    def wait_until_settled(self, handle: int | str, timeout_ms: int) -> reading.Detail:
        """Return the message once it is in a final state or uncertain, or as it is when the time is over."""
        from engine.model import FINAL_STATES, State

        feed = self.changes()
        try:
            give_up_ms = self.context.clock.monotonic_ms() + timeout_ms
            found = self.detail(handle)
            while found.message.state not in FINAL_STATES | {State.UNCERTAIN}:
                if self.context.clock.monotonic_ms() >= give_up_ms:
                    break
                if feed.poll():
                    found = self.detail(handle)
                else:
                    time.sleep(0.02)  # other processes commit without telling us; data_version is what there is to poll
            return found
        finally:
            feed.close()
