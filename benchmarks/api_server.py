"""A server in a process of its own: the HTTP API with its gate or without one, or falcon alone. Says where it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import contenders

_MORE = """\
http: {listen: "127.0.0.1:0"}
security: {rate_limit_per_hour: 10000000}
"""


def main() -> None:
    contender, home = sys.argv[1], Path(sys.argv[2])
    if contender == "peer":
        _serve_peer()
    else:
        _serve_ours(home, gated=contender == "gated")


def _serve_ours(home: Path, *, gated: bool) -> None:
    """The engine as it runs, with its log files. What it queues is held back: taking in is what is measured."""
    from engine.clock import SystemClock
    from engine.host import logs
    from engine.inbound.http.app import make_app
    from engine.inbound.http.door import Door
    from engine.operations import apikeys
    from engine.operations.gate import Gate
    from engine.rules.apikeys import Scope
    from engine.rules.redact import Redactor

    engine = contenders.open_engine(home, more=_MORE)
    where = logs.configure(
        engine.paths.logs, "INFO", redactor=Redactor(), stderr=None, retention_ms=86_400_000, clock=SystemClock()
    )
    context, log = engine.context, logs.get()
    engine.pause("all", for_ms=3_600_000)
    engine.start("bench")
    key = apikeys.create(context, "bench", [Scope.SEND])

    def build() -> tuple[Any, Any]:
        gate = Gate(context, log)
        used = gate if gated else _Open(gate.admit(f"Bearer {key.text}", "127.0.0.1", Scope.SEND), gate)
        return make_app(context, engine, used, log), gate.close

    door = Door(context, engine, log, epoch=1, build=build)
    try:
        _wait(door.open(), key.text)
    finally:
        door.close(1)
        engine.close()
        where.close()


class _Open:
    """A gate that lets everybody in as the same caller and asks nothing."""

    def __init__(self, caller: Any, gate: Any) -> None:
        self._caller = caller
        self._gate = gate

    def admit(self, *_asked: object) -> Any:
        return self._caller

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gate, name)


def _serve_peer() -> None:
    """What nobody can do without: waitress reads the request, falcon the JSON, and a small JSON goes back."""
    import logging
    import threading

    import falcon
    import waitress

    class Messages:
        def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
            given = req.get_media()
            resp.status = 202
            resp.media = {"uid": "msg_0", "target": given["target"], "size_bytes": len(given["text"])}

    app = falcon.App()
    app.add_route("/v1/messages", Messages())
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # or it writes a line for each request that waits
    server = waitress.create_server(app, listen="127.0.0.1:0", threads=8)
    threading.Thread(target=server.run, daemon=True).start()
    _wait(f"127.0.0.1:{server.effective_port}", "")


def _wait(address: str, key: str) -> None:
    """Serve until whoever started this closes its pipe."""
    print(json.dumps({"address": address, "key": key}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
