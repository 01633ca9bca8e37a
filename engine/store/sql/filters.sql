-- state: a literal, so that the state's own partial index can serve it.
m.state = '{0}';

-- channel: seek in messages_target, once for each of the channel's targets.
m.channel = {0};

-- target: seek in messages_target, once for each channel that has such a target.
m.target = {0};

-- template: seek in messages_template.
m.template <> '' AND m.template = {0};

-- route: seek in messages_route.
m.route <> '' AND m.route = {0};

-- priority: seek in messages_priority unless it is the normal one.
m.priority = {0};

-- key: seek in messages_idempotency.
m.idempotency_key IS NOT NULL AND m.idempotency_key = {0};

-- order: the ordering key.
m.ordering_key IS NOT NULL AND m.ordering_key = {0};

-- collapse: the collapse key.
m.collapse_key IS NOT NULL AND m.collapse_key = {0};

-- uid: seek in messages_uid.
m.uid = {0};

-- id: seek in the table.
m.id = CAST({0} AS INTEGER);

-- tag: seek in tags.
m.id IN (SELECT t.message_id FROM tags AS t WHERE t.tag = {0});

-- tagged: drives a page of one tag; tags are in order of tag and message.
t.tag = {0};

-- error: words of the last failure; messages_failed leaves out all that never failed.
m.last_word <> '' AND (m.last_word LIKE {0} ESCAPE '\' OR m.last_code LIKE {0} ESCAPE '\' OR m.state_reason LIKE {0} ESCAPE '\');

-- failed: lets messages_failed serve several error words.
m.last_word <> '';

-- age: time since enqueue; {0} is a time.
m.created_ms {1} {0};

-- due: time until the next attempt; only what waits has one.
m.state = 'queued' AND m.due_ms {1} {0};

-- attempts: messages_retried serves everything above 1.
m.attempts {1} {0};

-- ready: lets messages_due serve a page of what is queued.
m.ready = 1;

-- unready: queued, but its ordering key's turn has not come.
m.ready = 0;

-- unusual: lets messages_priority serve a priority term.
m.priority <> 1;

-- retried: lets messages_retried serve an attempts term.
m.attempts > 1;

-- size: bytes of all that the message says.
m.size {1} {0};

-- text_indexed: words in the free text index.
search MATCH {0};

-- text_scanned: what the index does not hold yet, and phrases.
EXISTS (SELECT 1 FROM searchable AS s WHERE s.id = m.id AND (s.subject LIKE {0} ESCAPE '\' OR s.text LIKE {0} ESCAPE '\'));
