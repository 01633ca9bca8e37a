"""The acts on secrets, API keys, incidents, incoming events and the audit log's proofs. Delivers nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.showing import Showing

if TYPE_CHECKING:
    from engine.operations.apikeys import ApiKey, Created
    from engine.operations.auditing import Progress
    from engine.operations.checkpointing import Checkpoint
    from engine.operations.inbound import Event, SourceState
    from engine.operations.incidents import Incident
    from engine.operations.pruning import Archives, Pruned
    from engine.operations.recovery import RecoveryKit
    from engine.operations.secrets import SecretCheck, SecretInfo
    from engine.operations.vault import Provider, VaultState
    from engine.operations.witnessing import Comparison, Signing
    from engine.rules.apikeys import Scope


class Keeping(Showing):
    """What an operator keeps locked. Every method may be called from any thread, in any process."""

    # The vault and its secrets

    def vault(self) -> VaultState | None:
        """What the vault is, without opening it; None before one was made."""
        from engine.operations import vault

        return vault.state(self.context)

    def vault_trouble(self, provider: Provider) -> str | None:
        """Why a root key cannot lie there on this machine, in one sentence; None when it can."""
        from engine.operations import rotating

        return rotating.trouble(self.context, provider)

    def vault_create(self, provider: Provider, *, passphrase: str | None = None) -> VaultState:
        """Make the vault; see operations.rotating.create."""
        from engine.operations import rotating

        return rotating.create(self.context, provider, passphrase=passphrase)

    def vault_open(self, passphrase: str | None = None) -> None:
        """Open the vault for this process, with a passphrase that was typed. Raises VaultLocked, VaultDamaged."""
        from engine.operations import vault

        vault.open_with(self.context, passphrase)

    def vault_closed(self) -> str | None:
        """Why the vault cannot be opened now, in one sentence; None when it can or there is none. May take 5 s."""
        from engine.operations import vault

        return vault.reachable(self.context)

    def vault_rotate(self, *, provider: Provider | None = None, passphrase: str | None = None) -> VaultState:
        """Give the vault a new root key and a new data key; see operations.rotating.rotate."""
        from engine.operations import rotating

        return rotating.rotate(self.context, provider=provider, passphrase=passphrase)

    def recovery_kit(self, *, passphrase: str | None = None) -> RecoveryKit:
        """The root key wrapped under a passphrase that is shown once; see operations.recovery.make_kit."""
        from engine.operations import recovery

        return recovery.make_kit(self.context, passphrase=passphrase)

    def recover(self, kit: str, passphrase: str, provider: Provider) -> VaultState:
        """Bring the root key of a kit to a provider here; see operations.recovery.import_kit."""
        from engine.operations import recovery

        done = recovery.import_kit(self.context, kit, passphrase, provider)
        self._secrets_changed()
        return done

    def secrets(self) -> list[SecretInfo]:
        """Every secret of the vault by name and age, and those that the configuration names; never a value."""
        from engine.operations import secrets

        return secrets.listing(self.context)

    def secret_set(self, name: str, value: str) -> SecretInfo:
        """Seal a value under a name, in place of the one before. Raises BadInput, NotPossible."""
        from engine.operations import secrets

        done = secrets.set_secret(self.context, name, value)
        self._secrets_changed()
        return done

    def secret_delete(self, name: str) -> None:
        """Forget a secret. Raises NotFound."""
        from engine.operations import secrets

        secrets.delete_secret(self.context, name)
        self._secrets_changed()

    def secrets_check(self) -> list[SecretCheck]:
        """Open every secret and say of each whether it can be; see operations.secrets.check."""
        from engine.operations import secrets

        return secrets.check(self.context)

    def _secrets_changed(self) -> None:
        """Channels of this process that are open hold the old value."""

    # API keys

    def api_keys(self) -> list[ApiKey]:
        """Every API key, newest first, revoked and expired ones too; never a secret."""
        from engine.operations import apikeys

        return apikeys.listing(self.context)

    def api_key_create(
        self,
        name: str,
        scopes: Sequence[Scope],
        *,
        expires_ms: int | None = None,
        targets: Sequence[str] = (),
        networks: Sequence[str] = (),
    ) -> Created:
        """Make a key; its text is in the answer and nowhere else. Raises BadInput, NotPossible for a name in use."""
        from engine.operations import apikeys

        return apikeys.create(self.context, name, scopes, expires_ms=expires_ms, targets=targets, networks=networks)

    def api_key_rotate(self, word: str, *, overlap_ms: int) -> Created:
        """Make the successor of a key (by id or name), which itself holds for `overlap_ms` more."""
        from engine.operations import apikeys

        return apikeys.rotate(self.context, word, overlap_ms=overlap_ms)

    def api_key_revoke(self, word: str) -> ApiKey:
        """Let a key (by id or name) open nothing from now on. Raises NotFound, NotPossible."""
        from engine.operations import apikeys

        return apikeys.revoke(self.context, word)

    def api_key(self, word: str) -> ApiKey:
        """The key of that id, or the one in force of that name. Raises NotFound."""
        from engine.operations import apikeys

        return apikeys.find(self.context, word)

    # Incidents

    def incidents(self, *, everything: bool = False, limit: int = 200) -> list[Incident]:
        """Open and acknowledged incidents, the worst first; with `everything` the newest of all."""
        from engine.operations import incidents

        return incidents.listing(self.context, everything=everything, limit=limit)

    def incident(self, number: int) -> Incident:
        """One incident. Raises NotFound."""
        from engine.operations import incidents

        return incidents.get(self.context, number)

    def incident_ack(self, number: int) -> Incident:
        """Somebody looks after it. Raises NotFound, NotPossible."""
        from engine.operations import incidents

        return incidents.acknowledge(self.context, number)

    def incident_resolve(self, number: int, note: str) -> Incident:
        """It is over, and why. Raises NotFound, NotPossible, BadInput without a note."""
        from engine.operations import incidents

        return incidents.resolve(self.context, number, note)

    def config_written(self, action: str, key: str) -> None:
        """Record that the configuration file was changed through Chronos; see operations.configwatch.written."""
        from engine.operations import configwatch

        configwatch.written(self.context, action, key)

    # Incoming events

    def sources(self) -> list[SourceState]:
        """Every configured source, what came from it and why something was refused."""
        from engine.operations import inbound

        return inbound.sources(self.context)

    def source(self, name: str) -> SourceState:
        """One source. Raises NotFound."""
        from engine.operations import inbound

        return inbound.source(self.context, name)

    def events(self, source: str | None = None, *, limit: int = 50, before: int | None = None) -> list[Event]:
        """Accepted events, newest first, without bodies. Raises NotFound for an unknown source."""
        from engine.operations import inbound

        return inbound.events(self.context, source, limit=limit, before=before)

    def event(self, number: int) -> Event:
        """One accepted event with its body. Raises NotFound."""
        from engine.operations import inbound

        return inbound.event(self.context, number)

    def event_replay(self, number: int, *, target: str | None = None) -> str:
        """Make a message of a kept event once more; return its uid. Raises NotFound, NotPossible, BadInput."""
        from engine.operations import inbound

        uid = inbound.replay(self.context, number, target=target)
        self._wake()
        return uid

    # The audit log's proofs

    def checkpoints(self, *, limit: int = 20) -> list[Checkpoint]:
        """The newest signed checkpoints, newest first."""
        from engine.operations import checkpointing

        return checkpointing.recent(self.context, limit=limit)

    def audit_signing(self) -> Signing:
        """How far the log is signed and when its head was last sent to a witness. Opens no vault."""
        from engine.operations import witnessing

        return witnessing.signing(self.context)

    def audit_checkpoint(self) -> Checkpoint:
        """Sign the head now. Raises NotPossible without a vault, VaultLocked."""
        from engine.operations import checkpointing

        return checkpointing.make(self.context)

    def audit_witness(self, target: str | None = None) -> tuple[Checkpoint, str]:
        """Sign the head and send it to a target (default: security.audit_witness); return it and the message's uid."""
        from engine.operations import witnessing

        sent = witnessing.witness(self.context, target)
        self._wake()
        return sent

    def audit_compare(
        self, witness: bytes, progress: Progress | None = None, *, former: Sequence[str] = ()
    ) -> Comparison:
        """Verify the log, and against what was kept elsewhere: an export, a checkpoint, a saved witness message.

        former: public keys of a lost vault, which the caller vouches for. Raises BadInput when it is none of these.
        """
        from engine.operations import witnessing

        return witnessing.compare(self.context, witness, progress, former=former)

    def audit_prune(
        self,
        *,
        keep_ms: int,
        dry_run: bool = False,
        progress: Progress | None = None,
        former: Sequence[str] = (),
    ) -> Pruned:
        """Archive what is older than `keep_ms` in signed segments, prove them, and take it from the table."""
        from engine.operations import pruning

        return pruning.prune(self.context, keep_ms=keep_ms, dry_run=dry_run, progress=progress, former=former)

    def audit_archives(self, *, former: Sequence[str] = ()) -> Archives:
        """Prove the chain through every archive to the first entry that the table holds."""
        from engine.operations import pruning

        return pruning.verify_archives(self.context, former=former)
