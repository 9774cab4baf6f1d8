-- Keep which slots of schedules were the last, and their jobs.
-- Guard: none; schedule_advance came before. Index: the primary key.
-- Given: schedule bigint, slot bigint, job uuid
UPDATE jobs_admin_schedule AS schedule SET last_at_ms = given.slot, last_job_id = given.job
FROM given
WHERE schedule.id = given.schedule
