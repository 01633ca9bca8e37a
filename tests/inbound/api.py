"""What tests of the API share: the application over a real database and a real gate, called without a socket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from falcon import testing

from engine.host.paths import paths
from engine.inbound.http.app import make_app
from engine.model import Message, RouteStep, Settings, TargetSpec
from engine.operations import apikeys
from engine.operations.context import Machine
from engine.operations.gate import Gate
from engine.operations.health import Check, Level
from engine.rules.apikeys import Scope
from tests.support import Box, EventLog, FakeClock, opened_box, settings, target

REMOTE = "192.0.2.7"
JSON = "application/json"


@dataclass
class Engine:
    """The engine behind the API, as far as the API sees it."""

    turns: bool = True
    woken: int = 0
    tried: dict[str, int] = field(default_factory=dict)

    def wake(self) -> None:
        self.woken += 1

    def turning(self) -> bool:
        return self.turns

    def health(self) -> list[Check]:
        return [Check("disk", Level.OK, "much"), Check("outbox_dead", Level.WARNING, "3", "look at them")]

    def attempts(self) -> Mapping[str, int]:
        return self.tried


class Api:
    """The application, a client, and what stands behind it."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.log = EventLog()
        self.engine = Engine()
        self.gate = Gate(box.context, self.log)
        self.app = make_app(box.context, self.engine, self.gate, self.log)
        self.client = testing.TestClient(self.app)
        self.loopback = False
        self.text = ""

    def key(self, *scopes: Scope, targets: tuple[str, ...] = (), name: str = "") -> str:
        """Make a key and use it from now on; return its text."""
        made = apikeys.create(self.box.context, name or f"key-{len(self.texts())}", scopes, targets=targets)
        self.text = made.text
        return made.text

    def texts(self) -> list[str]:
        return [key.id for key in apikeys.listing(self.box.context)]

    def call(self, method: str, path: str, **given: Any) -> testing.Result:
        """Call as a client does; `headers` are laid over those that every call has."""
        headers = {"Authorization": f"Bearer {self.text}"} if self.text else {}
        headers |= given.pop("headers", {})
        extras = {"chronos.remote": REMOTE, "chronos.loopback": self.loopback, **given.pop("extras", {})}
        return self.client.simulate_request(method, path, headers=headers, extras=extras, **given)

    def get(self, path: str, **given: Any) -> testing.Result:
        return self.call("GET", path, **given)

    def post(self, path: str, document: Any = None, **given: Any) -> testing.Result:
        """POST; `document` goes as JSON."""
        if document is not None:
            given["json"] = document
        return self.call("POST", path, **given)

    def send(self, **fields: Any) -> testing.Result:
        """POST a message."""
        headers = fields.pop("http", {})
        return self.post("/v1/messages", {"target": "hook", "text": "hi", **fields}, headers=headers)

    def message(self, uid: str) -> Message:
        from engine.operations import reading

        return reading.detail(self.box.context, uid).message


def configuration(**changes: Any) -> Settings:
    """Return a configuration with two targets, one that looks like mail, and a route."""
    targets: dict[str, TargetSpec] = {
        "hook": target("hook", channel="webhook"),
        "mail": target("mail", channel="email"),
        "other": target("other", channel="webhook"),
    }
    routes = {"alerts": (RouteStep("hook"), RouteStep("mail", 60_000))}
    security = {"pbkdf2_iterations": 1_000, **changes.pop("security", {})}
    return settings(targets, routes, security=security, **changes)


@contextmanager
def opened_api(directory: Path, known: Settings | None = None, clock: FakeClock | None = None) -> Iterator[Api]:
    """Open an outbox with the API before it."""
    with opened_box(directory, known or configuration(), clock) as box:
        box.context.machine = Machine(paths(str(directory), None, {"HOME": str(directory)}))
        api = Api(box)
        try:
            yield api
        finally:
            api.gate.close()


def assert_problem(result: testing.Result, status: int, kind: str = "") -> dict[str, Any]:
    """Check that it is a problem document of that status, and return it."""
    assert result.status_code == status, result.text
    assert result.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = result.json
    assert document["status"] == status
    assert document["type"].startswith("urn:chronos:problem:" + kind)
    assert document["title"]
    assert document["detail"]
    assert document["instance"] == result.headers["x-request-id"]
    return document
