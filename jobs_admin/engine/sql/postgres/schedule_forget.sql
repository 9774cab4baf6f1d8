-- Delete all slots of schedules.
-- Guard: none; schedule_lock came before. Index: the primary key.
-- Given: schedule bigint
DELETE FROM jobs_admin_scheduleslot AS slot USING given WHERE slot.schedule_id = given.schedule
