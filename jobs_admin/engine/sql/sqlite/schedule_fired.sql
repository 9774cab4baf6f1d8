-- Keep which slot of a schedule was the last, and its job.
-- Guard: none; schedule_advance came before. Index: the primary key.
UPDATE jobs_admin_schedule SET last_at_ms = :slot, last_job_id = :job WHERE id = :schedule
