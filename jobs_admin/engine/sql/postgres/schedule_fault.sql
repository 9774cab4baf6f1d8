-- Keep why schedules could not be fired, and when to look at them again.
-- Guard: they are at the version and the slot that they were read with. Index: the primary key; schedule_next grows.
-- Given: schedule bigint, version integer, was bigint, look bigint, fault text
UPDATE jobs_admin_schedule AS schedule SET look_at_ms = given.look, fault = given.fault
FROM given
WHERE schedule.id = given.schedule AND schedule.version = given.version AND schedule.next_at_ms = given.was
