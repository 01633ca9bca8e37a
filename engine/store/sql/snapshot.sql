-- tables: those that hold rows of ours; what the index of free text keeps for itself is made anew from them.
SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
 ORDER BY name;

-- rows: of one of these; its name comes from the schema.
SELECT count(*) FROM "{}";

-- states: counted, not as the triggers count: this is what a restore is compared with.
SELECT state, count(*) FROM messages GROUP BY state ORDER BY state;

