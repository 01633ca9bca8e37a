"""One backup in full: proof, file, copies, manifest; and what a check of it found, step by step. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chronos_tui import bridge
from chronos_tui.views import times, when
from chronos_tui.views.backups import KINDS, proof, why
from chronos_tui.views.spans import Document, Line, Span

_COPY_STATES = {"copied": ("✓ copied", "ok"), "waiting": ("· waiting", "dim"), "failed": ("✗ failed", "failed")}
_FIELD = 12


def document(one: bridge.Backup, now_ms: int) -> Document:
    """Return everything that is known of a backup: proof, file, copies, manifest."""
    lines: list[Line] = [(Span(bridge.safe_line(one.name, 200), "title"),), ()]
    lines += _proof_lines(one, now_ms)
    lines += _file_lines(one, now_ms)
    lines += [(), (Span("Copies off the box", "title"),)]
    lines += [part for copy in one.copies for part in _copy_lines(copy, now_ms)] or [
        (Span("  none; backup.copy_to says where to: a backup on this box burns with it", "dim"),)
    ]
    return (*lines, *_manifest_lines(one.manifest))


def _proof_lines(one: bridge.Backup, now_ms: int) -> Iterator[Line]:
    state = proof(one)
    said = why(one)
    yield _field("proof", f"{state.text}{f': {said}' if said else ''}", state.role)
    if one.drilled_ms is not None:
        took = f", took {bridge.format_duration(one.drill_took_ms)}" if one.drill_took_ms is not None else ""
        yield _field("drilled", f"{when.full(one.drilled_ms)}, {when.ago(one.drilled_ms, now_ms)}{took}")
    else:
        yield _field("drilled", "never; d restores it for a trial")
    if one.verified_ms is not None:
        sound = "every sum is right" if one.verified_ok else bridge.safe_line(one.verified_word, 300) or "damaged"
        symbol, role = ("✓", "ok") if one.verified_ok else ("✗", "failed")
        yield _field("verified", f"{symbol} {sound}, {when.full(one.verified_ms)}", role)
    else:
        yield _field("verified", "not since it was made; v reads its file again")


def _file_lines(one: bridge.Backup, now_ms: int) -> Iterator[Line]:
    took = f", took {bridge.format_duration(one.took_ms)}" if one.took_ms else ""
    yield _field("taken", f"{when.full(one.taken_ms)}, {when.ago(one.taken_ms, now_ms)}{took}")
    yield _field("kind", KINDS.get(str(one.kind), bridge.safe_line(str(one.kind), 30)))
    yield _field("file", bridge.safe_line(f"{one.folder}/{one.name}", 500))
    if one.gone_ms is not None:
        yield _field("", f"✗ gone since {when.full(one.gone_ms)}", "failed")
    yield _field("size", f"{bridge.format_size(one.size)}{', encrypted (age)' if one.encrypted else ''}")
    if one.sha256:
        yield _field("sha256", bridge.safe_line(one.sha256, 64))
    if one.archive_sha256 and one.archive_sha256 != one.sha256:
        yield _field("of the ZIP", bridge.safe_line(one.archive_sha256, 64))


def _copy_lines(copy: bridge.BackupCopy, now_ms: int) -> Iterator[Line]:
    words, role = _COPY_STATES.get(str(copy.state), (bridge.safe_line(str(copy.state), 20), ""))
    if copy.state == "waiting" and copy.attempts:
        words, role = f"✗ failed {copy.attempts} times, next {times.coarse(copy.due_ms, now_ms)}", "failed"
    parts = []
    if copy.copied_ms is not None:
        parts.append(f"made {when.ago(copy.copied_ms, now_ms)}")
    if copy.verified_ms is not None:
        parts.append(f"read back {when.ago(copy.verified_ms, now_ms)}")
    spent = f"  {', '.join(parts)}" if parts else ""
    yield (Span(f"  {words}  ", role), Span(bridge.safe_line(copy.destination, 200)), Span(spent, "dim"))
    if copy.detail:
        yield (Span(f"    {bridge.safe_line(copy.detail, 300)}", "dim"),)


def _manifest_lines(manifest: Mapping[str, Any]) -> Iterator[Line]:
    yield ()
    yield (Span("Manifest", "title"),)
    if not manifest:
        yield (Span("  not read yet; v reads the file and shows what it says", "dim"),)
        return
    yield _field("instance", _said(manifest.get("instance")))
    yield _field("made by", f"Chronos {_said(manifest.get('chronos'))}, SQLite {_said(manifest.get('sqlite'))}")
    yield _field("schema", _said(manifest.get("schema")))
    yield _field("messages", _counts(manifest.get("counts")) or "none")
    yield _field("rows", _counts(manifest.get("rows")) or "none")
    yield from _audit_lines(manifest.get("audit"))
    vault = _mapping(manifest.get("vault"))
    key = f"root key {_said(vault.get('root_id'))}, version {_said(vault.get('key_version'))}" if vault else "none"
    yield _field("vault", key)
    signature = _mapping(manifest.get("signature"))
    by = f"{_said(signature.get('algorithm'))}, key {_said(signature.get('key'))[:16]}…" if signature else "none"
    yield _field("signature", by)
    yield ()
    yield (Span("Members", "title"),)
    for name, facts in _mapping(manifest.get("members")).items():
        size = _mapping(facts).get("size")
        shown = bridge.format_size(size) if isinstance(size, int) else "?"
        digest = _said(_mapping(facts).get("sha256"))
        yield (Span(f"  {shown:>10}  "), Span(f"{bridge.safe_line(str(name), 110):<24}"), Span(f"  {digest}", "dim"))


def _audit_lines(found: object) -> Iterator[Line]:
    audit = _mapping(found)
    if not audit:
        yield _field("audit log", "not said")
        return
    yield _field("audit head", f"entry {_said(audit.get('seq'))}, {_said(audit.get('hash'))}")
    signed = _mapping(audit.get("checkpoint"))
    yield _field("", f"signed up to entry {_said(signed.get('seq'))}" if signed else "not signed")


def _counts(found: object) -> str:
    pairs = [(name, n) for name, n in _mapping(found).items() if isinstance(n, int) and n]
    return ", ".join(f"{times.number(n)} {bridge.safe_line(str(name), 40)}" for name, n in pairs)


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _said(found: object) -> str:
    if isinstance(found, int) and not isinstance(found, bool):
        return times.number(found)
    return bridge.safe_line(str(found), 130) if found is not None else "?"


def _field(name: str, value: str, role: str = "") -> Line:
    return (Span(f"{name:<{_FIELD}}", "dim"), Span(value, role))


# What a verification or a drill found


def verdict(found: bridge.Verdict, *, drilled: bool) -> Document:
    """Return what was looked at, step by step, and what it means. drilled: it was restored for a trial."""
    lines: list[Line] = [_conclusion(found, drilled=drilled), ()]
    for step in found.steps:
        symbol, role = {True: ("✓", "ok"), None: ("·", "warning"), False: ("✗", "failed")}[step.ok]
        took = bridge.format_duration(step.took_ms) if step.took_ms >= 1000 else ""
        lines.append((Span(f"{symbol} ", role), Span(f"{bridge.safe_line(step.name, 60):<24} "), Span(took, "dim")))
        if step.detail:
            words = "could not be made: " if step.ok is None else ""
            lines.append((Span(f"  {words}{bridge.safe_line(step.detail, 500)}", "dim" if step.ok else role),))
    return (*lines, (), (Span(f"It took {bridge.format_duration(max(found.took_ms, 1))}.", "dim"),))


def _conclusion(found: bridge.Verdict, *, drilled: bool) -> Line:
    why_ = Span(bridge.safe_line(found.why, 300))
    if not found.ok and str(found.proof) == "failed":
        return (Span("✗ It cannot be relied on. ", "failed"), why_)
    if not found.ok:
        return (Span("✗ Not proven: the database was like that when it was backed up. ", "failed"), why_)
    if found.why:
        return (Span("! Not everything could be looked at. ", "warning"), why_)
    if drilled:
        return (Span("✓ It was restored for a trial, and everything in it is right.", "ok"),)
    rest = "" if str(found.proof) == "proven" else "A drill (d) proves that it can be restored."
    return (Span("✓ Its file is what was written. ", "ok"), Span(rest))


def verdict_words(found: bridge.Verdict, *, drilled: bool) -> tuple[str, str]:
    """Return the same in a sentence, with its role."""
    name = bridge.safe_line(found.file.rpartition("/")[2], 100)
    if found.why:
        return f"{name}: {bridge.safe_line(found.why, 200)}", "warning" if found.ok else "failed"
    return f"{name}: {'proven' if drilled else 'every sum is right'}", "ok"
