"""What is done with the audit log as a whole: written to a file, signed, its signed head sent out of the house."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chronos_tui import bridge
from chronos_tui.desk import Progress
from chronos_tui.dialogs import savefile, working
from chronos_tui.views import audit as views
from chronos_tui.views import times, when
from chronos_tui.widgets.panel import Host, Prompt


def export(host: Host, expression: str) -> None:
    """Ask where to, then write the log from the time on that the filter names, or all of it."""
    now_ms = host.now_ms()
    since_ms = views.since_ms(expression, now_ms)
    which = f"entries since {when.stamp(since_ms)}" if since_ms is not None else "every entry"
    savefile.ask(
        host,
        f"write {which} to: ",
        f"audit-{when.stamp(now_ms)[:10]}.jsonl",
        lambda path, replace: _write(host, path, since_ms, replace=replace),
        endings=(".jsonl",),
    )


def _write(host: Host, path: Path, since_ms: int | None, *, replace: bool) -> None:
    def work(engine: bridge.Engine, progress: Progress) -> int:
        count = 0
        with savefile.created(path, replace=replace) as file:
            for line in engine.audit_export(since_ms, progress):
                file.write(f"{line}\n".encode())
                count += 1
        return count

    name = bridge.safe_line(str(path), 100)
    working.run(
        host,
        f"Export to {bridge.safe_line(path.name, 40)}",
        work,
        lambda count: host.say(f"{times.number(count)} entries in {name}"),
        leaving="nothing is written",
        stops=True,
    )


def sign(host: Host) -> None:
    """Sign the head now. On a thread of its own: the vault may have to be opened first."""

    def done(made: bridge.Checkpoint) -> None:
        host.say(f"signed: everything up to entry {times.number(made.seq)}; W sends it to a witness")

    host.desk.long(lambda engine, _progress: engine.audit_checkpoint(), done, lambda text: host.say(text, "failed"))


def ask_witness(host: Host, witness: str) -> None:
    """Ask to whom the signed head shall go, the configured witness first."""
    settings = host.desk.engine.settings
    names: Sequence[str] = [*settings.targets, *settings.routes]

    def wrong(text: str) -> str:
        word = text.strip()
        if not word:
            return "to whom? a target or a route"
        known = word in names or ":" in word
        return "" if known else str(bridge.unknown_target(settings, word))

    host.prompt(
        Prompt(
            "send the signed head to: ",
            lambda text: send_head(host, text.strip()),
            witness,
            lambda text, _cursor: [name for name in names if name.startswith(text.strip())],
            wrong,
            hint="keep that message: it proves later that nothing before it was changed",
        )
    )


def send_head(host: Host, target: str) -> None:
    """Sign the head and send it to a target."""

    def work(engine: bridge.Engine) -> tuple[int, int]:
        made, uid = engine.audit_witness(target)
        return made.seq, engine.detail(uid).message.id

    def done(sent: tuple[int, int]) -> None:
        shown = bridge.safe_line(target, 40)
        host.say(f"the head, entry {times.number(sent[0])}, goes to {shown} as message #{sent[1]}")

    host.desk.long(lambda engine, _progress: work(engine), done, lambda text: host.say(text, "failed"))
