"""The API's messages: queue one, show one, list them, act on one. A bound key sees and touches only its targets'."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from engine.errors import BadInput, IdempotencyConflict, NotFound, NotPossible
from engine.inbound.http.calls import Call, Reply
from engine.inbound.http.models import AttachmentIn, MessageIn, MessagesQuery
from engine.inbound.http.problems import FORBIDDEN, KEY_REUSED, NOT_FOUND, Fault, Problem, invalid
from engine.inbound.http.reading import pointer
from engine.model import Attachment, Message, NewMessage, OnUncertain, Priority
from engine.operations import acts, reading, shapes
from engine.operations.acts import Action
from engine.operations.enqueue import Enqueued, enqueue, resolve
from engine.rules import filters
from engine.rules.filters import Filter, Term
from engine.rules.identity import is_uid

if TYPE_CHECKING:
    from engine.operations.reading import Detail

_MOST_KEY_CHARS = 256


def send(call: Call) -> Reply:
    """POST /v1/messages: 202 with the message once it is on the disk; 200 with the same one for a repeat."""
    given: MessageIn = call.body
    _check_target(call, given.target)
    done = _enqueued(call, _checked(call, given))
    call.desk.surface.wake()
    message = done.message
    if done.created:
        tags = tuple(sorted(set(given.tags or ())))
    else:
        tags = reading.tags_of(call.context, [message.id])[message.id]
    headers = {"Location": f"/v1/messages/{message.uid}"}
    return Reply(shapes.message(message, tags), status=202 if done.created else 200, headers=headers)


def _enqueued(call: Call, new: NewMessage) -> Enqueued:
    try:
        return enqueue(call.context, new)
    except IdempotencyConflict:
        if not call.bound_to:
            raise
        # Whose message it was may be none of this key's business.
        words = "this idempotency key was used for other content; use another one"
        raise Problem(KEY_REUSED, words) from None


def _check_target(call: Call, target: str) -> None:
    """A bound key gets the same answer for what it may not use and for what there is not."""
    if call.caller is not None and not call.caller.may_send_to(target):
        raise Problem(FORBIDDEN, "this key is bound to other targets", (Fault("pointer", "#/target", "not allowed"),))
    try:
        resolve(call.context.settings, target)
    except NotFound as error:
        raise Problem(
            NOT_FOUND, str(error), (Fault("pointer", "#/target", "no target or route of that name"),)
        ) from None
    except (BadInput, NotPossible) as error:
        raise invalid(Fault("pointer", "#/target", str(error))) from error


def _checked(call: Call, given: MessageIn) -> NewMessage:
    """Return the message; raise a 422 with everything about it that needs the clock or the channel to be judged."""
    from engine.channels.headers import check_headers

    faults: list[Fault] = []
    key = _idempotency_key(call.idempotency_key, faults)
    files = [_attachment(number, one, faults) for number, one in enumerate(given.attachments or ())]
    headers = tuple((given.headers or {}).items())
    if headers:
        spec, _ = resolve(call.context.settings, given.target)
        for name, value in headers:
            try:
                check_headers([(name, value)], channel=spec.channel)
            except BadInput as error:
                faults.append(Fault("pointer", pointer(("headers", name)), str(error)))
    if given.expires_at is not None and given.expires_at <= max(call.context.clock.now_ms(), given.not_before or 0):
        faults.append(Fault("pointer", "#/expires_at", "is over before the message could be sent"))
    if not (given.subject or given.text or given.html or given.data is not None or files):
        faults.append(Fault("pointer", "#", "is empty: give a subject, text, html, data or attachments"))
    if faults:
        raise invalid(*faults)
    return NewMessage(
        target=given.target,
        subject=given.subject or "",
        text=given.text,
        html=given.html,
        data=None if given.data is None else json.dumps(given.data, ensure_ascii=False, separators=(",", ":")),
        headers=headers,
        attachments=tuple(files),
        priority=Priority[given.priority.upper()],
        not_before_ms=given.not_before,
        expires_ms=given.expires_at,
        idempotency_key=key,
        collapse_key=given.collapse_key,
        ordering_key=given.ordering_key,
        on_uncertain=None if given.on_uncertain is None else OnUncertain(given.on_uncertain),
        tags=tuple(dict.fromkeys(given.tags or ())),
    )


def _idempotency_key(header: str | None, faults: list[Fault]) -> str | None:
    """The header's value, with or without the quotes that draft-ietf-httpapi-idempotency-key-header asks for."""
    if header is None:
        return None
    key = header[1:-1] if len(header) > 1 and header[0] == header[-1] == '"' else header
    if not 0 < len(key) <= _MOST_KEY_CHARS or not all("!" <= char <= "~" for char in key):
        words = f"1 to {_MOST_KEY_CHARS} visible ASCII characters without blanks"
        faults.append(Fault("header", "Idempotency-Key", words))
    return key


def _attachment(number: int, given: AttachmentIn, faults: list[Fault]) -> Attachment:
    import binascii

    content = b""
    try:
        content = binascii.a2b_base64(given.content_base64, strict_mode=True)
        if len(given.content_base64) % 4:  # which strict mode lets pass
            raise ValueError
    except ValueError:  # binascii.Error is one; so is text beyond ASCII
        words = "is not base64 (RFC 4648, section 4, padded, no line ends)"
        faults.append(Fault("pointer", pointer(("attachments", number, "content_base64")), words))
    return Attachment(given.name, given.content_type, content)


def show(call: Call) -> Reply:
    """GET /v1/messages/{uid}: the message with its attempts."""
    return Reply(shapes.detail(_found(call)))


def _found(call: Call) -> Detail:
    """Return the message that the path names. A bound key learns nothing about those of other targets."""
    uid = call.path["uid"]
    if is_uid(uid):
        try:
            found = reading.detail(call.context, uid)
        except NotFound:
            pass
        else:
            if _visible(found.message, call.bound_to):
                return found
    raise Problem(NOT_FOUND, "no message with this uid")


def _visible(message: Message, bound_to: tuple[str, ...]) -> bool:
    """A message that was sent by a route belongs to the route, wherever it is by now."""
    return not bound_to or (message.route or message.target) in bound_to


def act(action: Action, call: Call) -> Reply:
    """POST /v1/messages/{uid}/retry and so on: do it, and show the message as it is then."""
    found = _found(call)
    acts.act_on_one(call.context, action, found.message.id)
    call.desk.surface.wake()
    return Reply(shapes.detail(reading.detail(call.context, found.message.id)))


def listing(call: Call) -> Reply:
    """GET /v1/messages: a page, newest first, and where the next one begins."""
    asked: MessagesQuery = call.query
    try:
        terms = filters.parse(asked.filter)
    except BadInput as error:
        raise invalid(Fault("parameter", "filter", str(error))) from error
    found, cursor = _page(call, terms, asked)
    tags = reading.tags_of(call.context, [one.id for one in found])
    return Reply({"messages": [shapes.message(one, tags[one.id]) for one in found], "next": cursor})


def _page(call: Call, terms: Filter, asked: MessagesQuery) -> tuple[list[Message], int | None]:
    if not call.bound_to:
        page = reading.page(call.context, terms, limit=asked.limit, cursor=asked.after)
        return list(page.messages), page.next_cursor
    # A filter holds all its terms and cannot say "or": one page by target, one by route, and the newest of both.
    pages = [
        reading.page(call.context, (*terms, Term(name, ":", call.bound_to)), limit=asked.limit, cursor=asked.after)
        for name in ("target", "route")
    ]
    both = sorted({one.id: one for page in pages for one in page.messages}.values(), key=lambda one: -one.id)
    shown = both[: asked.limit]
    more = len(both) > asked.limit or any(page.next_cursor is not None for page in pages)
    # Left out after the cut, so that the cursor does not skip any: such a page may hold fewer than asked for.
    return [one for one in shown if _visible(one, call.bound_to)], shown[-1].id if more and shown else None
