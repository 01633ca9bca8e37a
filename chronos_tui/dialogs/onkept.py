"""What the keys do to incidents, API keys, sources and secrets in a panel that lists them. The engine decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from chronos_tui import bridge
from chronos_tui.dialogs import onincidents, onkeys, onsecrets, onsources
from chronos_tui.keys import Command, Danger
from chronos_tui.views import security as views
from chronos_tui.views.security import INCIDENTS, KEYS, SECRETS, SOURCES, Kept
from chronos_tui.widgets.panel import Panel

COMMANDS = (
    Command(
        "security.ack",
        ("a",),
        "acknowledge",
        "incidents: say that you look after it",
        20,
        Danger.PLAIN,
        "incident [ack|resolve] [N] [NOTE]",
    ),
    Command("security.resolve", ("r",), "resolve", "incidents: it is over; asks for a note", 22, Danger.PLAIN),
    Command("security.history", ("h",), "history", "incidents: show resolved ones too, or hide them", 60),
    Command("security.message", ("o",), "message", "incidents: open the message that told of it", 62),
    Command(
        "security.make-key",
        ("n",),
        "new key",
        "API keys: make one; it is shown once",
        20,
        Danger.PLAIN,
        "key [create|rotate|revoke] [KEY]",
    ),
    Command(
        "security.rotate-key", ("R",), "rotate", "API keys: make its successor; both work for a time", 22, Danger.FINAL
    ),
    Command("security.revoke-key", ("X",), "revoke", "API keys: let it open nothing any more", 24, Danger.FINAL),
    Command(
        "security.replay",
        ("r",),
        "replay",
        "sources: make a message of a kept event once more",
        20,
        Danger.FINAL,
        "replay [N]",
    ),
    Command(
        "security.store-secret",
        ("n",),
        "new secret",
        "secrets: store one, unseen",
        20,
        Danger.PLAIN,
        "secret [set|delete] [SECRET]",
    ),
    Command("security.change-secret", ("e",), "set", "secrets: store this one anew, unseen", 22, Danger.PLAIN),
    Command("security.delete-secret", ("X",), "delete", "secrets: forget it", 24, Danger.FINAL),
    Command("security.check-secrets", ("c",), "check", "secrets: open each and say whether it can be had", 26),
    Command("security.vault", ("v",), "vault", "make the vault, or change its root key", 63, Danger.FINAL, "vault"),
    Command("security.audit", ("i",), "audit", "what the audit log says of it", 61),
    Command("security.copy", ("y",), "copy", "copy its name as it is referred to", 0),
)
_ONLY_IN = {
    "ack": INCIDENTS,
    "resolve": INCIDENTS,
    "history": INCIDENTS,
    "message": INCIDENTS,
    "make_key": KEYS,
    "rotate_key": KEYS,
    "revoke_key": KEYS,
    "replay": SOURCES,
    "store_secret": SECRETS,
    "change_secret": SECRETS,
    "delete_secret": SECRETS,
    "check_secrets": SECRETS,
}
_ON_ONE = frozenset(
    {
        "ack",
        "resolve",
        "message",
        "rotate_key",
        "revoke_key",
        "replay",
        "change_secret",
        "delete_secret",
        "audit",
        "copy",
    }
)
_WORDS = {"incident": INCIDENTS, "key": KEYS, "secret": SECRETS, "replay": SOURCES}
_REFERENCES = {INCIDENTS: "incident:", KEYS: "key:", SOURCES: "/v1/inbound/", SECRETS: "secret:"}


class OnKept(Panel):
    """A panel with sections of what is kept locked."""

    kept = Kept()
    """What the engine said last."""

    @property
    def section(self) -> str:
        """The section that is looked at."""
        raise NotImplementedError

    @property
    def under(self) -> str:
        """What is under the cursor there, by the name of its row; "" for nothing."""
        raise NotImplementedError

    def look_at(self, section: str) -> None:
        """Go to a section."""
        raise NotImplementedError

    def note_checked(self, wrong: Mapping[str, str]) -> None:
        """Show which secrets cannot be had."""
        raise NotImplementedError

    def show_history(self) -> None:
        """Show resolved incidents too, or hide them."""
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what this section can do, and on something only where there is something."""
        if _ONLY_IN.get(action, self.section) != self.section or (action in _ON_ONE and not self.under):
            return False
        if action == "message":
            incident = self._incident()
            return incident is not None and incident.alert_uid is not None
        return super().check_action(action, parameters)

    def line(self, word: str, rest: str) -> bool:
        """See Panel.line: an act on what is named."""
        verb, _, behind = rest.partition(" ")
        name, _, note = behind.strip().partition(" ")
        acts: Mapping[str, Callable[[], None]] = {
            "incident": lambda: onincidents.named(self.host, verb, name, note.strip()),
            "key": lambda: onkeys.named(self.host, verb, name),
            "secret": lambda: onsecrets.named(self.host, verb, name),
            "replay": lambda: onsources.replay(self.host, int(verb)),
        }
        if word not in acts:
            return False
        if not name and (word, verb) not in {("key", "create"), ("secret", "set"), ("replay", verb)}:
            self.host.say(f"{word} {verb} what? name it", "warning")
            return True
        self.look_at(_WORDS[word])
        acts[word]()
        return True

    # Incidents

    def _incident(self) -> bridge.Incident | None:
        return views.find(self.kept.incidents, self.under)

    def action_ack(self) -> None:
        """Say that somebody looks after it."""
        onincidents.acknowledge(self.host, int(self.under))

    def action_resolve(self) -> None:
        """It is over."""
        onincidents.resolve(self.host, int(self.under))

    def action_history(self) -> None:
        """Show resolved ones too, or hide them."""
        self.show_history()

    def action_message(self) -> None:
        """Go to the message that told of it."""
        incident = self._incident()
        if incident is None or incident.alert_uid is None:
            return
        uid = incident.alert_uid
        self.host.desk.read(
            "security message",
            lambda engine: engine.detail(uid).message.id,
            lambda number: self.host.go("outbox", f"#{number}"),
            lambda text: self.host.say(text, "failed"),
        )

    # API keys

    def _key(self) -> bridge.ApiKey | None:
        return views.find(self.kept.keys, self.under)

    def action_make_key(self) -> None:
        """Make one."""
        onkeys.make(self.host)

    def action_rotate_key(self) -> None:
        """Make its successor."""
        if (key := self._key()) is not None:
            onkeys.rotate(self.host, key)

    def action_revoke_key(self) -> None:
        """Let it open nothing any more."""
        if (key := self._key()) is not None:
            onkeys.revoke(self.host, key)

    # Sources

    def action_replay(self) -> None:
        """Make a message of one of its events once more."""
        onsources.choose(self.host, self.under)

    # Secrets

    def _secret(self) -> bridge.SecretInfo | None:
        return views.find(self.kept.secrets, self.under)

    def action_store_secret(self) -> None:
        """Store one of another name."""
        onsecrets.store(self.host, self.kept.vault)

    def action_change_secret(self) -> None:
        """Store this one anew."""
        if (one := self._secret()) is not None:
            onsecrets.store(self.host, self.kept.vault, one.name)

    def action_delete_secret(self) -> None:
        """Forget it."""
        if (one := self._secret()) is not None:
            onsecrets.delete(self.host, one)

    def action_check_secrets(self) -> None:
        """Open every one."""

        def done(found: Sequence[bridge.SecretCheck]) -> None:
            self.note_checked({one.name: one.problem for one in found if not one.ok})

        onsecrets.check(self.host, done)

    def action_vault(self) -> None:
        """Make the vault, or change its root key."""
        onsecrets.vault(self.host, self.kept.vault, sum(one.version is not None for one in self.kept.secrets))

    # Any

    def action_audit(self) -> None:
        """Go to what the audit log says of it."""
        self.host.go("audit", views.audit_filter(self.section, self.under))

    def action_copy(self) -> None:
        """Copy what it is called where it is referred to."""
        self.app.copy_to_clipboard(bridge.safe_line(f"{_REFERENCES[self.section]}{self.under}", 300))
