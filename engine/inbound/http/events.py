"""POST /v1/inbound/{source}: hands an event's raw bytes to operations.inbound, and answers. Tells no sender why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.inbound.http.problems import FORBIDDEN, NOT_FOUND, TOO_LARGE, Kind, Problem
from engine.inbound.http.surface import Gatekeeper, Surface
from engine.operations import inbound
from engine.operations.context import Context
from engine.operations.inbound import Received, Verdict
from engine.rules.apikeys import Scope
from engine.rules.verifiers import API_KEY

if TYPE_CHECKING:
    from falcon import Request, Response

    from engine.operations.gate import Caller

NOT_VERIFIED = Kind("event-not-verified", 401, "The event is not verified")
PACKED = Kind("event-packed", 415, "The body is packed")
REPLAYED = Kind("event-replayed", 409, "This signature or id was used before")


class Inbound:
    """One resource for every source. Sources are looked up per request, so that a reload reaches it."""

    def __init__(self, context: Context, surface: Surface, gate: Gatekeeper) -> None:
        self._context = context
        self._surface = surface
        self._gate = gate

    def on_post(self, req: Request, resp: Response, source: str) -> None:
        """202 accepted, 200 known already; problems 401, 404, 409, 413, 415, 429, 503.

        Raises Problem, operations.gate.Refused and the errors of operations.inbound.receive.
        """
        remote = str(req.env.get("chronos.remote") or req.remote_addr)
        caller = req.context.caller = self._knock(source, req.auth, remote)
        body = self._body(req)
        received = inbound.receive(self._context, source, req.headers, body, remote=remote, caller=caller)
        if received.verdict is Verdict.REFUSED:
            self._gate.failed(remote)
            # RFC 9110, 15.5.2 asks for a challenge; there is no registered one for signed webhooks.
            raise Problem(NOT_VERIFIED, "the event could not be verified", headers={"WWW-Authenticate": "Signature"})
        if received.verdict is Verdict.REPLAY:
            raise Problem(REPLAYED, "this signature or id was used before for something else")
        self._answer(resp, received)

    def _knock(self, source: str, authorization: str | None, remote: str) -> Caller | None:
        entry = self._context.settings.sources.get(source)
        if entry is None or entry["verify"] != API_KEY:
            self._gate.knock(remote)
            if entry is None:
                raise Problem(NOT_FOUND, "no such source")
            return None
        caller = self._gate.admit(authorization, remote, Scope.SEND)
        if not caller.may_send_to(entry["deliver"]["target"]):
            raise Problem(FORBIDDEN, "this key is bound to other targets than this source delivers to")
        return caller

    def _body(self, req: Request) -> bytes:
        """Return the raw bytes: what was signed is what was sent, so nothing is unpacked or decoded."""
        most_bytes: int = self._context.settings.http["max_body_bytes"]
        coding = req.get_header("Content-Encoding") or "identity"
        if coding.lower() != "identity":
            words = "send the body as it is, without Content-Encoding"
            raise Problem(PACKED, words, headers={"Accept-Encoding": "identity"})
        if (req.content_length or 0) > most_bytes:
            raise Problem(TOO_LARGE, f"the body has more than {most_bytes} bytes")
        body: bytes = req.bounded_stream.read(most_bytes + 1)
        if len(body) > most_bytes:
            raise Problem(TOO_LARGE, f"the body has more than {most_bytes} bytes")
        return body

    def _answer(self, resp: Response, received: Received) -> None:
        new = received.verdict is Verdict.ACCEPTED
        if new and received.message_uid is not None:
            self._surface.wake()
        resp.status = 202 if new else 200
        resp.media = {
            "status": received.verdict.value,
            "event_id": received.event_id,
            "message": received.message_uid,
        }
