-- Take a slot, for which the schedule's job is then enqueued; nothing if it was taken.
-- Guard: the primary key. Index: the primary key.
INSERT INTO jobs_admin_scheduleslot (schedule_id, slot_ms, job_id) VALUES (:schedule, :slot, :job)
ON CONFLICT (schedule_id, slot_ms) DO NOTHING
RETURNING slot_ms
