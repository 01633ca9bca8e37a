"""A process that makes a backup or puts one back, to be killed in the middle; and what comes before and after it.

`python -m tests.crash.archive_steps COMMAND DATA [MORE]`: make, create, restore NAME, load ACKS, serve, look. What it
has to say are lines on its standard output: "begin" when the act begins, then its end; `look` prints one JSON document.
"""

from __future__ import annotations

import json
import os
import random
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path

from engine.engine import Engine
from engine.errors import ChronosError, TryAgain
from engine.host.paths import paths
from engine.model import DELIVERED, Attachment, NewMessage, Outcome
from engine.operations import delivering
from engine.operations.acts import Action
from engine.operations.delivering import Finish
from engine.operations.vault import Provider
from engine.store import leader
from engine.store.tx import Tx

FIRST, SINCE = 240, 60
"""Messages put in before the backup that is restored, and after it."""
PACE_S = 0.01
_SWEPT_S = 15.0
"""How long an engine may take after its start until nothing of a killed process is left, on the disk or asked for."""
_SECRETS = {f"name{n}": f"value {n} " * 20 for n in range(3)}


def make(data: str) -> None:
    """Fill a data directory: a vault, messages in many states, a backup, and what happened after it."""
    engine = _open(data)
    engine.vault_create(Provider.FILE)
    for name, value in _SECRETS.items():
        engine.secret_set(name, value)
    engine.enqueue_many([_message(number) for number in range(FIRST)])
    _deliver(engine, FIRST // 2)
    name = engine.backup_create().name
    _deliver(engine, FIRST // 4)
    engine.enqueue_many([_message(number) for number in range(FIRST, FIRST + SINCE)])
    for message in engine.page("state:queued", limit=5).messages:
        engine.act(Action.CANCEL, message.id)
    engine.pause(
        "all", for_ms=86_400_000
    )  # engines of these tests do acts; what they sent would change what is compared
    engine.close()
    _say(name)


def create(data: str) -> None:
    engine = _open(data)
    _act(engine.backup_create)
    engine.close()


def restore(data: str, name: str) -> None:
    engine = _open(data)
    _act(lambda: engine.restore_apply(name))
    engine.close()


def _act(act: Callable[[], object]) -> None:
    """Do it between two lines; the second one says how long it took, in s."""
    _say("begin")
    began = time.monotonic()
    act()
    _say(f"done {time.monotonic() - began:.3f}")


def load(data: str, acks: str) -> None:
    """Put messages in until standard input ends; write each uid down once it was told that it is stored."""
    log = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    engine = _open(data)
    number = 0
    _say("begin")
    while not select.select([sys.stdin], [], [], PACE_S)[0]:
        number += 1
        key = f"load-{number}"
        try:
            uid = engine.enqueue(NewMessage(target="hook", text="x" * 500, idempotency_key=key)).message.uid
        except TryAgain:
            continue  # nothing was stored, and it was said
        os.write(log, f"{uid} {key}\n".encode())
    engine.close()
    _say("done")


def serve(data: str) -> None:
    """Be the engine that does what others ask for, until standard input ends."""
    engine = _open(data)
    engine.own("engine-only")
    _say("begin")
    sys.stdin.read()
    engine.close()


def look(data: str) -> None:
    """The next start: own the directory for a moment, then say how everything stands."""
    engine = _open(data)
    if mended := engine.context.database.degraded:
        engine.doctor(fix=True)
    engine.own("engine-only")
    engine.audit_checkpoint()  # a temporary of a small file that is replaced goes with its next writing
    give_up = time.monotonic() + _SWEPT_S
    while (_temporary(engine.paths.data_dir) or engine.commands()) and time.monotonic() < give_up:
        time.sleep(0.05)
    listed = []
    for backup in engine.backups():
        verdict = engine.backup_verify(str(backup.path))
        words = {"name": backup.name, "kind": str(backup.kind), "proof": str(backup.proof)}
        listed.append({**words, "ok": verdict.ok, "steps": _failed(verdict.steps)})
    audit = engine.audit_verify()
    secrets = [one.problem for one in engine.secrets_check() if not one.ok]
    unfinished = [command.kind for command in engine.commands()]
    engine.close()
    document = {"backups": listed, "audit": audit.ok, "secrets": secrets, "mended": mended, "commands": unfinished}
    _say(json.dumps(document, default=str))


def _temporary(data: Path) -> list[str]:
    """What a killed process left, which an engine that starts removes: at this moment, so nothing may hang on it."""
    names = [name for _folder, folders, files in os.walk(data) for name in (*folders, *files)]
    return [name for name in names if ".tmp" in name or name.startswith(("drill-", "restore-"))]


def _failed(steps: object) -> list[str]:
    return [f"{one.name}: {one.detail}" for one in steps if one.ok is False]  # type: ignore[attr-defined]


def _open(data: str) -> Engine:
    return Engine.open(paths(data, None, os.environ), os.environ, actor="crash")


def _message(number: int) -> NewMessage:
    chance = random.Random(number)
    file = Attachment("note.bin", "application/octet-stream", chance.randbytes(60_000))
    return NewMessage(
        target="hook",
        subject=f"message {number}",
        text="".join(chance.choices("abcdefgh \n", k=chance.randrange(100, 8_000))),
        attachments=(file,) if number % 6 == 0 else (),
        idempotency_key=f"made-{number}",
        tags=("made",),
    )


def _deliver(engine: Engine, count: int) -> None:
    """Claim and finish messages, as a dispatcher does whose sink takes everything."""
    context = engine.context
    now_ms = context.clock.now_ms()
    epoch = context.database.write(
        lambda tx: leader.take_over(tx, pid=1, host="crash", mode="test", version="0", now_ms=now_ms)
    )
    plan = context.database.read(lambda tx: delivering.plan(tx, context, seats=lambda _lane: count, most=count))
    claimed = context.database.write(lambda tx: delivering.claim(tx, context, epoch, plan.candidates))
    finishes = [Finish(one.taken.id, one.taken.attempt_no, Outcome(DELIVERED, "OK: ok", "200")) for one in claimed]

    def finish(tx: Tx) -> None:
        delivering.finish(tx, context, epoch, finishes)

    context.database.write(finish)


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def main() -> int:
    command, *more = sys.argv[1:]
    commands: dict[str, Callable[..., None]] = {
        "make": make,
        "create": create,
        "restore": restore,
        "load": load,
        "serve": serve,
        "look": look,
    }
    try:
        commands[command](*more)
    except ChronosError as error:
        _say(f"error {type(error).__name__}: {error}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
