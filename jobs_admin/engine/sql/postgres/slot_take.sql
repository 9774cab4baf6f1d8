-- Take slots, for which the schedule's job is then enqueued; nothing of those that were taken.
-- Guard: the primary key. Index: the primary key.
-- Given: schedule bigint, slot bigint, job uuid
WITH taken AS (
    INSERT INTO jobs_admin_scheduleslot (schedule_id, slot_ms, job_id)
    SELECT schedule, slot, job FROM given
    ON CONFLICT (schedule_id, slot_ms) DO NOTHING
    RETURNING schedule_id, slot_ms
)
SELECT given.n, 1 FROM taken JOIN given ON given.schedule = taken.schedule_id AND given.slot = taken.slot_ms
