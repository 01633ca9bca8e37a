"""Making the vault and changing its root key. A process killed at any step leaves a vault that opens.

Order: note what is about to be stored, store it, read it back, switch in ONE transaction with every secret sealed anew,
remove the old one. What a killed process left behind is removed by the next act that comes along, by that note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from engine.errors import ChronosError, NotPossible, TryAgain, VaultLocked
from engine.host import sealing
from engine.host.rootkeys.choosing import Provider
from engine.operations.context import Context, writable
from engine.operations.vault import Opened, VaultState, check_on, kdf_of_row, keys_of, opened, recorded, state_of, wrap
from engine.rules.canonical import canonical_json
from engine.store import audit
from engine.store import vault as store
from engine.store.tx import Tx
from engine.store.vault import Pending, VaultRow

if TYPE_CHECKING:
    from engine.host.rootkeys.base import RootKeys

Reached = Callable[[str], object]


def _nobody(_step: str) -> None:
    """Nobody wants to know."""


def trouble(context: Context, provider: Provider) -> str | None:
    """Say in one sentence why this provider cannot be used here; None when it can."""
    return keys_of(context, provider, sealing.new_kdf(context.entropy)).trouble()


def create(context: Context, provider: Provider, *, passphrase: str | None = None) -> VaultState:
    """Make the vault with a new root key.

    Raises NotPossible when there is one, when the vault is off, or when the provider cannot be used: it says why.
    """
    writable(context)
    check_on(context)
    if context.database.read(store.read) is not None:
        raise NotPossible("there is a vault already; 'chronos secret rotate-root --to PLACE' gives it another root key")
    try:
        with suppress(VaultLocked, NotPossible):
            tidy(context)
        root, row = _new_root(context, provider, passphrase, vault_id=context.entropy(16).hex(), not_id="")
        data_key = context.entropy(sealing.KEY_BYTES)
        row = row._replace(wrapped=wrap(context, root, data_key, row), created_ms=context.clock.now_ms())
        keys = keys_of(context, provider, kdf_of_row(row), passphrase)
        with _tidied(context, row):
            _keep(context, keys, row, root)
            context.database.write(lambda tx: _insert(tx, context, row))
    except VaultLocked as error:
        others = "; or choose another place: file, credential, passphrase" if provider == Provider.KEYRING else ""
        raise NotPossible(f"{error}{others}") from error
    context.kept["vault"] = Opened(row, data_key)
    return state_of(row)


def _insert(tx: Tx, context: Context, row: VaultRow) -> None:
    _still_pending(tx, row)
    if store.read(tx) is not None:
        raise NotPossible("another process made the vault a moment ago; try again")
    store.insert(tx, row)
    _no_longer_pending(tx, row)
    note_change(tx, context, "vault.created", row)


def rotate(
    context: Context,
    *,
    provider: Provider | None = None,
    passphrase: str | None = None,
    reached: Reached = _nobody,
) -> VaultState:
    """Give the vault a new root key, by default at the same provider, and a new data key.

    passphrase: the new one, where the provider is one. reached: told each step that was taken.
    Raises NotPossible, VaultLocked, VaultDamaged; then everything opens as before.
    """
    writable(context)
    check_on(context)
    before = opened(context)
    with suppress(VaultLocked, NotPossible):
        tidy(context)
    old, place = before.row, provider or Provider(before.row.provider)
    root, row = _new_root(context, place, passphrase, vault_id=old.vault_id, not_id=old.root_id)
    data_key = context.entropy(sealing.KEY_BYTES)
    row = row._replace(key_version=old.key_version + 1, created_ms=old.created_ms)
    row = row._replace(wrapped=wrap(context, root, data_key, row), rotated_ms=context.clock.now_ms())
    after = Opened(row, data_key)

    def reseal(tx: Tx) -> None:
        for one in store.secrets(tx):
            sealed = after.seal(context, one.name, one.version, before.unseal(one))
            store.reseal(tx, one._replace(key_version=row.key_version, sealed=sealed))

    keys = keys_of(context, place, kdf_of_row(row), passphrase)
    switch(context, keys, root, old, row, "vault.rotated", also=reseal, reached=reached)
    context.kept["vault"] = after
    return state_of(row)


def switch(
    context: Context,
    keys: RootKeys,
    root: bytes,
    old: VaultRow,
    row: VaultRow,
    action: str,
    *,
    also: Callable[[Tx], object] = lambda _tx: None,
    reached: Reached = _nobody,
) -> None:
    """Store `root`, put `row` in the place of `old` together with what `also` writes, and remove the old root key."""

    def work(tx: Tx) -> None:
        _still_pending(tx, row)
        if store.read(tx) != old:
            raise TryAgain("another process changed the vault meanwhile; try again")
        also(tx)
        store.rewrap(tx, row)
        _no_longer_pending(tx, row)
        store.note_pending(tx, [*store.pending(tx), Pending(old.provider, old.root_id, storing=False)])
        note_change(tx, context, action, row)

    with _tidied(context, row):
        _keep(context, keys, row, root, reached)
        context.database.write(work)
    reached("switched")
    with suppress(VaultLocked, NotPossible):  # it is done; the old key is removed at the next 'check' or rotation
        tidy(context, reached)


@contextmanager
def _tidied(context: Context, row: VaultRow) -> Iterator[None]:
    """Remove what was stored at a provider if nothing comes of it. One that does not answer is not asked once more."""
    try:
        yield
    except VaultLocked:
        raise
    except ChronosError:
        with suppress(ChronosError):  # what failed is what must be said; the note stays for the next time
            # Another process may have struck out the note before the key was stored.
            context.database.write(lambda tx: _note(tx, row))
            tidy(context)
        raise


def _note(tx: Tx, row: VaultRow) -> None:
    _no_longer_pending(tx, row)
    store.note_pending(tx, [*store.pending(tx), Pending(row.provider, row.root_id, storing=True)])


def _keep(
    context: Context,
    keys: RootKeys,
    row: VaultRow,
    root: bytes,
    reached: Reached = _nobody,
) -> None:
    """Store a root key, which reads it back, with a note of it before."""
    context.database.write(lambda tx: _note(tx, row))
    reached("noted")
    keys.keep(row.root_id, root)
    reached("kept")


def _still_pending(tx: Tx, row: VaultRow) -> None:
    """Another process that cleans up, or rotates too, may have removed the key that this one is about to rely on."""
    if Pending(row.provider, row.root_id, storing=True) not in store.pending(tx):
        raise TryAgain("another process changed the vault's root key meanwhile; try again")


def _no_longer_pending(tx: Tx, row: VaultRow) -> None:
    mine = (row.provider, row.root_id)
    store.note_pending(tx, [one for one in store.pending(tx) if (one.provider, one.root_id) != mine])


def tidy(context: Context, reached: Reached = _nobody) -> None:
    """Remove the root keys that changes left behind, one's own or a killed process's.

    Raises VaultLocked or NotPossible where a provider cannot be asked now; the note stays for the next time.
    """
    if context.read_only or not context.database.read(store.pending):
        return
    for left in context.database.write(_begin_removing):
        if left.provider in {Provider.KEYRING, Provider.FILE}:
            keys_of(context, Provider(left.provider)).forget(left.root_id)
        reached("removed")

        def end(tx: Tx, left: Pending = left) -> None:
            store.note_pending(tx, [one for one in store.pending(tx) if one != left])

        context.database.write(end)


def _begin_removing(tx: Tx) -> list[Pending]:
    """Say of each that it goes, so that whoever is about to rely on it does not; return them."""
    row = store.read(tx)
    used = None if row is None else (row.provider, row.root_id)
    left = [one._replace(storing=False) for one in store.pending(tx) if (one.provider, one.root_id) != used]
    store.note_pending(tx, left)
    return left


def _new_root(
    context: Context, provider: Provider, passphrase: str | None, *, vault_id: str, not_id: str
) -> tuple[bytes, VaultRow]:
    """Return a new root key and the row it belongs into; `wrapped` is still missing."""
    kdf = sealing.new_kdf(context.entropy) if provider == Provider.PASSPHRASE else None
    keys = keys_of(context, provider, kdf, passphrase)
    root = keys.fresh(not_id) if keys.brings_own else context.entropy(sealing.KEY_BYTES)
    words = "" if kdf is None else canonical_json(kdf.document())
    return root, VaultRow(vault_id, provider.value, sealing.root_id(root), words, 1, b"", 0, None)


def note_change(tx: Tx, context: Context, action: str, row: VaultRow) -> None:
    """Write down what the row says, so that one that is changed later is found out."""
    audit.append(tx, context.clock.now_ms(), context.actor, action, "vault", recorded(row))
