"""The playbook's pages about backups: made, proven, kept whole, fresh enough, copied elsewhere. Text only."""

from __future__ import annotations

from engine.rules.incidents import Kind
from engine.rules.playbook.page import Page

PAGES = (
    Page(
        Kind.BACKUP_FAILED,
        title="A backup was not made",
        subject="backups",
        means=(
            "The last backup that was begun did not come to its end. Nothing half-made is listed or kept, and the "
            "backups from before are as they were. Until one is made again, what happened since the newest of them "
            "would be lost with this box."
        ),
        check=(
            "'chronos backup list' shows the newest one that there is, and its age",
            "'chronos audit list --filter action:backup' shows each failure with its reason",
            "'chronos health' shows the space that is left",
        ),
        act=(
            "A full disk: free some space, or keep fewer backups, 'chronos backup prune --dry-run' shows which go.",
            "A folder that cannot be written: correct backup.directory, or its owner and mode.",
            (
                "A copy that was not sound: the database itself is in doubt; 'chronos doctor' reads all of it. Keep "
                "every backup that you have."
            ),
            "Then make one now: 'chronos backup create'.",
        ),
        rule=(
            "The newest entry backup.failed of the audit log is younger than the newest backup.created. Looked at "
            "every minute; settled when a backup is made."
        ),
        source="NIST SP 800-53, CP-9 (system backup); OWASP ASVS 5.0, 16.5.2",
    ),
    Page(
        Kind.BACKUP_UNPROVEN,
        title="The newest backup is not proven",
        subject="backups",
        means=(
            "The newest backup was made, and its drill could not show that it can be restored: the vault was locked, "
            "so its secrets could not be opened, there was no room to unpack it, or the database itself is not as it "
            "should be. A backup that nobody has restored is a hope."
        ),
        check=(
            "'chronos backup list' shows the reason beside it",
            "'chronos secret check' says whether the vault can be opened",
            "'chronos doctor' says whether the database and its audit log are sound",
        ),
        act=(
            "Remove the reason, then drill it: 'chronos backup drill FILE'.",
            "The root key is away: 'chronos backup drill FILE --kit KIT' proves it with the recovery kit.",
            "Keep the newest one that was proven; retention does so by itself.",
        ),
        rule=(
            "The newest backup that was made here, by the schedule or on demand, is unproven although backup.drill is "
            "on. Looked at every minute; settled when the newest one is proven."
        ),
        source="NIST SP 800-53, CP-9(1) (testing for reliability and integrity); NIST SP 800-34, 3.4.1",
    ),
    Page(
        Kind.BACKUP_DAMAGED,
        title="A backup is damaged",
        subject="the file's name",
        means=(
            "The file of a backup is not what was written, or does not restore any more: the disk lost bits, somebody "
            "changed it, or it was swapped for another one. It must not be relied on. The live database is not touched "
            "by this, but it may lie on the same disk."
        ),
        check=(
            "'chronos backup verify FILE' says what is wrong with it: damaged, or signed by nobody of ours",
            "'chronos backup list' shows what is whole beside it, and where copies lie",
            "'journalctl -k -p err -n 50' and 'smartctl -a' of the disk show whether it fails",
        ),
        act=(
            "A copy elsewhere may be whole: fetch it and verify it, 'chronos backup verify FILE'.",
            "Make a new one now: 'chronos backup create'.",
            "A failing disk: copy what is whole off the box, then replace it.",
            "A swapped one: find out who could write the folder; its mode, the users of the box, root.",
            "Then remove the file; the incident ends with it.",
        ),
        rule=(
            "The sums, layout or signature of a file in the ledger, or the database in it, are not what was written; "
            "found by the regular verification (backup.verify_every), by 'chronos backup verify FILE' or 'chronos "
            "backup drill FILE'. Looked at every minute; settled when it is proven again, or gone."
        ),
        source="NIST SP 800-53, CP-9(1) and SI-7 (integrity); own rule (old files are read again)",
    ),
    Page(
        Kind.BACKUP_STALE,
        title="No restore was proven for too long",
        subject="backups",
        means=(
            "The newest backup whose restore was proven is old, or there is none. If this box were lost now, "
            "everything since then would be lost: messages that wait, the audit log, keys and secrets."
        ),
        check=(
            "'chronos backup list' shows each backup with its age and what its drill said",
            "'chronos config show --origin' shows backup.schedule and database.backup_enabled",
            "'chronos health' says whether an engine runs: the schedule needs one",
        ),
        act=(
            "Make one now: 'chronos backup create'.",
            "No schedule: set backup.schedule, five fields of cron such as 0 3 * * *.",
            "Made and not proven: the incident backup.unproven or backup.failed says why.",
        ),
        rule=(
            "The newest proven backup is older than monitoring.backup_age_warning (36 h; then medium) or "
            "backup_age_critical (4 d; then high); before the first one, the first scheduled time is more than an hour "
            "past. Looked at every minute; settled when one is proven."
        ),
        source="NIST SP 800-53, CP-9 (recovery point objective); own rule (proven, not made)",
    ),
    Page(
        Kind.BACKUP_COPY_FAILED,
        title="Backups are not copied off the box",
        subject="the destination",
        means=(
            "Copies do not reach this place, or do not read back there as they were written. The backups themselves "
            "lie on this box and are tried again; with the box they would be lost."
        ),
        check=(
            "'chronos backup list' shows the state of each copy",
            "'chronos log --since 1d' shows each attempt in the words of sftp or rclone",
            "'sftp -oBatchMode=yes HOST' as the engine's user shows whether it can log in without being asked",
        ),
        act=(
            "A directory: mount it; it is never made, so that nothing is written below an empty mount point.",
            "A login: give the engine's user a key that the host takes, and the host's key in known_hosts.",
            "A full disk over there: make room; nothing of ours is removed there by itself.",
            "A place that is no more: take it out of backup.copy_to.",
        ),
        rule=(
            "A backup that is newer than every copy there was tried in vain and is older than 6 h. Looked at every "
            "minute; settled when a newer one lies there and reads back."
        ),
        source="NIST SP 800-53, CP-6 (alternate storage site) and CP-9(3); own rule (copies are read back)",
    ),
)
