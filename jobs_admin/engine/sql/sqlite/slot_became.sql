-- Keep which job stands for a slot, where it is not a new one.
-- Guard: none; the slot was taken in this transaction. Index: the primary key.
UPDATE jobs_admin_scheduleslot SET job_id = :job WHERE schedule_id = :schedule AND slot_ms = :slot
