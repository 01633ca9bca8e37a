-- attach: the judged file, read-only; no journal that lies beside it is played back.
ATTACH DATABASE :uri AS source;

-- schema: what stands in the file, byte for byte, to compare with ours. Those without a statement are SQLite's own.
SELECT CAST(type AS BLOB), CAST(name AS BLOB), CAST(tbl_name AS BLOB), CAST(sql AS BLOB)
  FROM source.sqlite_master WHERE sql IS NOT NULL;

-- tables: that the file has.
SELECT name FROM source.sqlite_master WHERE type = 'table';

-- made: what would slow the copying down or rewrite what is copied; made again when the rows are there.
SELECT type, name, sql FROM main.sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL;

-- triggers: what store.carrying puts back when it is done.
SELECT type, name, sql FROM main.sqlite_master WHERE type = 'trigger';

-- clear: rows that our migrations made, where the backup has its own.
DELETE FROM main.{table};

-- copy: named columns, so that SQLite checks each row against our table instead of copying its bytes.
INSERT INTO main.{table} ({columns}) SELECT {columns} FROM source.{table};

-- when_migrated: the times at which the backup's database was brought to its schema.
UPDATE main.migrations
   SET applied_ms = coalesce((SELECT s.applied_ms FROM source.migrations AS s WHERE s.version = migrations.version), 0);

-- search_anew: the index of words is empty and filled in the background.
UPDATE main.meta SET value = '0' WHERE key = 'search_indexed_id';
