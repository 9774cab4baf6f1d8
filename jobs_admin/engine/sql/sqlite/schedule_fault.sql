-- Keep why a schedule could not be fired, and when to look at it again.
-- Guard: it is at the version and the slot that it was read with. Index: the primary key; schedule_next grows.
UPDATE jobs_admin_schedule SET look_at_ms = :look, fault = :fault
WHERE id = :schedule AND version = :version AND next_at_ms = :was
