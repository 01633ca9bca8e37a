"""Secrets and the vault as people read them: names, places and ages, never a value. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from chronos_tui import bridge
from chronos_tui.views import times, when
from chronos_tui.views.acts import Preview
from chronos_tui.views.spans import Document, Line, Span

_PLACES = {
    "vault": ("✓ vault", "ok"),
    "environment": ("✓ environment", "ok"),
    "missing": ("! missing", "warning"),
}


def row(one: bridge.SecretInfo, now_ms: int, wrong: str = "") -> tuple[Span, ...]:
    """Return name, where it comes from, version, age, used by. wrong: what the last check found."""
    where, role = _PLACES.get(one.where, (bridge.safe_line(one.where, 20), ""))
    if wrong and one.where != "missing":
        where, role = "✗ unreadable", "failed"
    used = ", ".join(one.used_by)
    return (
        Span(bridge.safe_line(one.name, 100), "warning" if one.where == "missing" else ""),
        Span(where, role),
        Span(f"v{one.version}" if one.version is not None else "", "dim"),
        Span(times.coarse(one.updated_ms, now_ms) if one.updated_ms is not None else "", "dim"),
        Span(bridge.safe_line(used, 300) or "nothing in the configuration", "" if used else "dim"),
    )


def document(one: bridge.SecretInfo, now_ms: int, wrong: str = "") -> Document:
    """Return everything that may be said of a secret."""
    variable = f"CHRONOS_SECRET_{one.name.upper().replace('-', '_')}"
    lines: list[Line] = [
        (Span(bridge.safe_line(one.name, 200), "title"),),
        (),
        _field("from", _place(one)),
    ]
    if wrong:
        lines.append(_field("check", f"✗ {bridge.safe_line(wrong, 500)}", "failed"))
    if one.version is not None and one.updated_ms is not None:
        lines.append(
            _field("version", f"{one.version}, set {when.full(one.updated_ms)}, {when.ago(one.updated_ms, now_ms)}")
        )
    lines += [(), (Span("Used by", "title"),)]
    lines += [(Span(f"  {bridge.safe_line(key, 200)}"),) for key in one.used_by] or [
        (Span("  nothing in the configuration", "dim"),)
    ]
    lines += [
        (),
        (Span(f"{bridge.safe_line(variable, 200)} in the environment, or the same with _FILE,", "dim"),),
        (Span("comes before the vault. The value is shown nowhere.", "dim"),),
    ]
    return tuple(lines)


def _place(one: bridge.SecretInfo) -> str:
    if one.where == "vault":
        return "the vault"
    if one.where == "environment":
        return "the environment of the process that delivers"
    return "nowhere: it is missing, what needs it fails; e sets it"


def _field(name: str, value: str, role: str = "") -> Line:
    return (Span(f"{name:<10}", "dim"), Span(value, role))


def summary(found: Sequence[bridge.SecretInfo]) -> str:
    """Return what the list holds, for its title."""
    missing = sum(one.where == "missing" for one in found)
    return f"{missing} missing" if missing else ""


def empty(state: bridge.VaultState | None) -> tuple[Line, ...]:
    """Say what no secret means."""
    if state is None:
        return (
            (Span("No secret is kept, and none is asked for."),),
            (Span("n", "accent"), Span(" stores one: it asks first where the root key shall be kept.")),
        )
    return ((Span("No secret is kept, and none is asked for. "), Span("n", "accent"), Span(" stores one.")),)


def deleting(one: bridge.SecretInfo, now_ms: int) -> Preview:
    """Return what is asked before a secret is deleted."""
    name = bridge.safe_line(one.name, 60)
    used = [(Span(f"  {bridge.safe_line(key, 70)}", "warning"),) for key in one.used_by[:6]]
    more = len(one.used_by) - 6
    if more > 0:
        used.append((Span(f"  and {more} more", "warning"),))
    age = f", set {when.ago(one.updated_ms, now_ms)}" if one.updated_ms is not None else ""
    return Preview(
        f"Delete {name}?",
        (
            (Span(name, "bold"), Span(f"  version {one.version}{age}", "dim")),
            (Span("It is used by" if used else "Nothing in the configuration uses it."),),
            *used,
            (),
            (Span("Its value is gone for good; a backup and the recovery kit still have it.", "warning"),),
        ),
        "delete",
        name,
    )


# The vault


def vault_line(state: bridge.VaultState | None, now_ms: int, incidents: Sequence[bridge.Incident] = ()) -> Line:
    """Return the one line about the vault."""
    if state is None:
        return (Span(" root key: ", "dim"), Span("no vault yet"), Span("   v", "accent"), Span(" makes one", "dim"))
    words = bridge.safe_line(state.words, 100)
    closed = next((one for one in incidents if one.kind == "vault.root_key" and one.state != "resolved"), None)
    if closed is not None:
        return (Span(" root key: ", "dim"), Span(f"✗ {words}: {bridge.safe_line(closed.detail, 200)}", "failed"))
    return (Span(" root key: ", "dim"), Span(words), Span(f", {_turned(state, now_ms)}", "dim"))


def _turned(state: bridge.VaultState, now_ms: int) -> str:
    if state.rotated_ms is not None:
        return f"rotated {when.ago(state.rotated_ms, now_ms)}"
    return f"made {when.ago(state.created_ms, now_ms)}"


def rotating(state: bridge.VaultState, kept: int, instance: str, now_ms: int, provider: str = "") -> Preview:
    """Return what is asked before the root key is changed. kept: how many secrets. provider: where to."""
    name = bridge.safe_line(instance, 60)
    goes = f"It moves to: {bridge.safe_line(provider, 60)}." if provider else "It stays where it is kept now."
    return Preview(
        "Change the root key?",
        (
            (
                Span("root key: ", "dim"),
                Span(bridge.safe_line(state.words, 60)),
                Span(f", {_turned(state, now_ms)}", "dim"),
            ),
            (Span(f"{times.number(kept)} secrets are sealed anew under a new key. {goes}"),),
            (Span("A crash on the way leaves the old key or the new one in force."),),
            (),
            (Span("A recovery kit made before opens nothing afterwards: make a new one.", "warning"),),
        ),
        "change",
        name,
    )


PLACES = {
    "keyring": ("OS keyring", "of your desktop session; unlocked when you log in"),
    "file": ("key file", "0600 in the data directory; for a server without a desktop"),
    "credential": ("systemd credential", "handed over by the unit, sealed by the TPM or the host"),
    "passphrase": ("passphrase", "kept nowhere: the engine needs it at each start"),
}
"""Where a root key may be kept: name, and what that means."""

MAKING: Document = (
    (Span("Secrets are sealed under a root key. The database does not hold it: who copies that reads no secret."),),
)
STORING: Document = ((Span("Type or paste it; only its length is seen. Pasted lines stay as they are.", "dim"),),)
PASSPHRASE: Document = (
    (Span("Without it nothing can be opened, by nobody. Keep it where you will find it.", "warning"),),
    (Span("An engine that starts alone reads it where CHRONOS_PASSPHRASE_FILE says.", "dim"),),
)


def checked(found: Sequence[bridge.SecretCheck]) -> Document:
    """Return what a check found, what cannot be had first."""
    lines: list[Line] = []
    for one in sorted(found, key=lambda one: one.ok):
        name = bridge.safe_line(one.name, 60)
        if one.ok:
            lines.append((Span("✓ ", "ok"), Span(f"{name:<24} "), Span(bridge.safe_line(one.where, 20), "dim")))
        else:
            lines.append((Span(f"✗ {name:<24} ", "failed"), Span(bridge.safe_line(one.problem, 500))))
    return tuple(lines)
