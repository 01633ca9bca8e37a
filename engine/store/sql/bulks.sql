-- create: a frozen set, before anything is done to it.
INSERT INTO bulks (action, filter, actor, created_ms, state, total)
VALUES (:action, :filter, :actor, :now_ms, 'frozen', :total);

-- add_item: one member.
INSERT INTO bulk_items (bulk_id, message_id) VALUES (:bulk_id, :message_id);

-- create_done: an act on one message, remembered so that it can be taken back.
INSERT INTO bulks (action, filter, actor, created_ms, state, total, applied, undo_until_ms)
VALUES (:action, :filter, :actor, :now_ms, 'done', 1, 1, :undo_until_ms);

-- add_done: its one member.
INSERT INTO bulk_items (bulk_id, message_id, result, before_state)
VALUES (:bulk_id, :message_id, 'applied', :before_state);

-- read: one bulk act.
SELECT id, action, filter, actor, created_ms, state, total, applied, skipped, undone, undo_until_ms
  FROM bulks WHERE id = :id;

-- recent: the newest bulk acts.
SELECT id, action, filter, actor, created_ms, state, total, applied, skipped, undone, undo_until_ms
  FROM bulks WHERE state <> 'frozen' ORDER BY id DESC LIMIT 50;

-- last_undoable: what `undo` takes back.
SELECT id FROM bulks WHERE state = 'done' AND undo_until_ms > :now_ms ORDER BY id DESC LIMIT 1;

-- unfinished: acts that a crash interrupted; the next owner carries them out.
SELECT id, state FROM bulks WHERE state IN ('acting', 'undoing') ORDER BY id LIMIT 10;

-- set_state: frozen → acting → done → undoing → undone.
UPDATE bulks SET state = :state, undo_until_ms = coalesce(:undo_until_ms, undo_until_ms)
 WHERE id = :id AND state = :before;

-- next_items: the next members with a given result.
SELECT message_id, before_state FROM bulk_items
 WHERE bulk_id = :bulk_id AND result = :result AND message_id > :after ORDER BY message_id LIMIT :n;

-- mark_item: what became of a member.
UPDATE bulk_items SET result = :result, before_state = coalesce(:before_state, before_state)
 WHERE bulk_id = :bulk_id AND message_id = :message_id;

-- add_progress: the totals that people see.
UPDATE bulks SET applied = applied + :applied, skipped = skipped + :skipped, undone = undone + :undone WHERE id = :id;

-- forget: frozen sets that nobody acted on, and old acts.
SELECT id FROM bulks
 WHERE created_ms < :before_ms AND state NOT IN ('acting', 'undoing') AND coalesce(undo_until_ms, 0) <= :now_ms
 ORDER BY id LIMIT 5;

-- delete_items: in slices, a set may hold millions.
DELETE FROM bulk_items WHERE (bulk_id, message_id) IN
    (SELECT bulk_id, message_id FROM bulk_items WHERE bulk_id = :id LIMIT 500);

-- delete: once its items are gone.
DELETE FROM bulks WHERE id = :id AND NOT EXISTS (SELECT 1 FROM bulk_items WHERE bulk_id = :id);

-- items: every member, in order.
SELECT message_id FROM bulk_items WHERE bulk_id = :bulk_id AND message_id > :after ORDER BY message_id LIMIT :n;
