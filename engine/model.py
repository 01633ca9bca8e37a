"""The nouns: frozen records that every floor shares. No behaviour beyond what a record can say of itself.

Times are int milliseconds UTC (`_ms`), sizes int bytes. `None` means "not set". Named tuples, because a command from
cron loads them: importing dataclasses and making these classes by it took 18 of its 74 ms.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class State(StrEnum):
    """Where a message stands. The transitions are in rules/states.py and in a trigger of the database."""

    QUEUED = "queued"
    SENDING = "sending"
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    HELD = "held"
    UNCERTAIN = "uncertain"


FINAL_STATES = frozenset({State.DELIVERED, State.DEAD, State.CANCELLED, State.EXPIRED})


class Priority(IntEnum):
    """Higher leaves first."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    URGENT = 3


class OnUncertain(StrEnum):
    """What happens when nobody knows whether a message arrived."""

    RESEND = "resend"
    ASK = "ask"


class Role(StrEnum):
    """What this process is to the data directory."""

    OWNER = "owner"
    ATTACHED = "attached"


class Attachment(NamedTuple):
    """A file that travels with a message. `name` is a bare file name, never a path."""

    name: str
    content_type: str
    content: bytes


class NewMessage(NamedTuple):
    """What a caller wants sent. Checked by operations.enqueue, stored as it stands.

    target: a configured target's or route's name, or an ad hoc address ("mailto:…", "https://…", "maildir:…").
    data: the JSON text of a webhook's body; None lets the channel build one from the other fields.
    headers: extra e-mail or HTTP headers in order.
    """

    target: str
    subject: str = ""
    text: str | None = None
    html: str | None = None
    data: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    template: str = ""
    priority: Priority = Priority.NORMAL
    not_before_ms: int | None = None
    expires_ms: int | None = None
    idempotency_key: str | None = None
    collapse_key: str | None = None
    ordering_key: str | None = None
    on_uncertain: OnUncertain | None = None
    tags: tuple[str, ...] = ()


class Message(NamedTuple):
    """A message's row, without its body.

    attempts: how often it was put on the wire, over all cycles; the fence of a finish. Grows by one a claim.
    failures: failed attempts that count against the limit in this cycle (a redrive or a route's next hop starts anew).
    lane: what breaker, rate and seats are counted by: the target's name, or an ad hoc address's server.
    last_code, last_word: the receiver's own words at the last failed attempt; hostile text.
    state_reason: why it is held, cancelled, dead, expired or uncertain, in our words.
    route, hop, hop_ms: the route it was sent by, the index of its present step, and when the next step takes over.
    """

    id: int
    uid: str
    state: State
    target: str
    lane: str
    channel: str
    template: str
    subject: str
    priority: Priority
    created_ms: int
    due_ms: int
    expires_ms: int | None
    finished_ms: int | None
    attempts: int
    failures: int
    cycle: int
    cycle_ms: int
    lease_until_ms: int | None
    cancel_requested: bool
    on_uncertain: OnUncertain
    idempotency_key: str | None
    collapse_key: str | None
    ordering_key: str | None
    ready: bool
    route: str
    hop: int
    hop_ms: int | None
    queued_by: str
    last_code: str
    last_word: str
    state_reason: str
    size: int


class Content(NamedTuple):
    """What a message says. Stored apart from its row and never changed."""

    subject: str
    text: str | None
    html: str | None
    data: str | None
    headers: tuple[tuple[str, str], ...]
    attachments: tuple[Attachment, ...]


class Attempt(NamedTuple):
    """One try at the wire. `outcome` None: it is running, or its owner died before it could say.

    rule: the rule that chose what happened next, in our words. next_ms: when the next attempt was due.
    """

    message_id: int
    attempt_no: int
    target: str
    epoch: int
    started_ms: int
    finished_ms: int | None
    outcome: str | None
    code: str
    detail: str
    rule: str
    next_ms: int | None
    accepted: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


class Outcome(NamedTuple):
    """How an attempt ended: `kind` is "delivered" or a value of errors.Sent."""

    kind: str
    detail: str = ""
    code: str = ""
    retry_after_ms: int | None = None
    accepted: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    disable_target: bool = False


DELIVERED = "delivered"


class RetryPolicy(NamedTuple):
    """When to try again. Durations in ms; jitter as a share (0.2 = ±20 %)."""

    first_ms: int = 5_000
    cap_ms: int = 6 * 3_600_000
    attempts: int = 16
    max_age_ms: int = 3 * 86_400_000
    jitter: float = 0.2


class Rate(NamedTuple):
    """At most `limit` messages in `per_ms`."""

    limit: int
    per_ms: int


class TargetSpec(NamedTuple):
    """A target as configured, or made from an ad hoc address.

    options: the channel's own settings (`to`, `url`, `secret`, `path` …), validated; secrets still as "secret:NAME".
    trusted: the operator wrote the address into the configuration; an ad hoc one is not trusted with private networks.
    order_blocked_by: states of an earlier message that hold back its successors of the same ordering key.
    """

    name: str
    channel: str
    options: Mapping[str, Any] = _NOTHING
    lane: str = ""
    retry: RetryPolicy = RetryPolicy()
    breaker: bool = True
    rate: Rate | None = None
    max_in_flight: int = 4
    timeout_ms: int = 30_000
    on_uncertain: OnUncertain = OnUncertain.RESEND
    headers: tuple[tuple[str, str], ...] = ()
    order_blocked_by: tuple[str, ...] = ("held", "uncertain")
    trusted: bool = True


class RouteStep(NamedTuple):
    """One step of a route: `target` takes over when `after_ms` have passed since enqueue without acceptance."""

    target: str
    after_ms: int = 0


class Settings(NamedTuple):
    """The effective configuration: validated, defaults filled in, as plain values.

    Each mapping is one section of design contract "Configuration": durations are ints in ms under keys that end in
    `_ms`, sizes ints in bytes under keys that end in `_bytes`; everything else keeps its name in the file.
    origin: dotted key → "default", "file:LINE" or "environment:NAME"; empty when read from the cache.
    """

    environment: str
    instance: str
    database: Mapping[str, Any]
    security: Mapping[str, Any]
    logging: Mapping[str, Any]
    http: Mapping[str, Any]
    smtp: Mapping[str, Any]
    telegram: Mapping[str, Any]
    outbox: Mapping[str, Any]
    backup: Mapping[str, Any]
    monitoring: Mapping[str, Any]
    demo: Mapping[str, Any]
    sources: Mapping[str, Any]
    schedules: Mapping[str, Any]
    targets: Mapping[str, TargetSpec]
    routes: Mapping[str, tuple[RouteStep, ...]]
    origin: Mapping[str, str] = _NOTHING

    @property
    def production(self) -> bool:
        """Whether unsafe combinations are errors."""
        return self.environment == "production"


class Hold(NamedTuple):
    """A scope that waits until `until_ms`. scope: "all", "channel:email", "target:ops", "template:x"."""

    id: int
    scope: str
    since_ms: int
    until_ms: int
    reason: str
    actor: str


class Delivery(NamedTuple):
    """All that a sender thread is given: enough to put one message on the wire without the database.

    uid: the identity, the same over all attempts. domain: the right side of the Message-ID.
    accepted: recipients that earlier attempts already reached; leave them out.
    timeout_ms: the total time the attempt may take; the channel must give up by then.
    """

    message_id: int
    uid: str
    attempt_no: int
    target: TargetSpec
    content: Content
    created_ms: int
    priority: Priority
    domain: str
    accepted: tuple[str, ...]
    timeout_ms: int
    tags: tuple[str, ...] = ()


class Receipt(NamedTuple):
    """A receiver accepted the message: its own words, and the recipients where there are several."""

    detail: str
    code: str = ""
    accepted: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()


class ProbeStep(NamedTuple):
    """One step of a probe ("resolve", "connect", "tls", "login", "send") and what came of it."""

    name: str
    ok: bool
    detail: str
    took_ms: int
