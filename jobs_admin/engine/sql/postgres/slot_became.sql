-- Keep which jobs stand for slots, where they are not new ones.
-- Guard: none; the slots were taken in this transaction. Index: the primary key.
-- Given: schedule bigint, slot bigint, job uuid
UPDATE jobs_admin_scheduleslot AS slot SET job_id = given.job
FROM given
WHERE slot.schedule_id = given.schedule AND slot.slot_ms = given.slot
