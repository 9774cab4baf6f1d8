-- Go on to a schedule's next slot; nothing is wrong with it.
-- Guard: it is at the version and the slot that it was read with. Index: the primary key.
UPDATE jobs_admin_schedule SET next_at_ms = :then, look_at_ms = NULL, fault = NULL
WHERE id = :schedule AND version = :version AND next_at_ms = :was
RETURNING id
