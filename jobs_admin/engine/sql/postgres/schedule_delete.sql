-- Delete schedules whose slots are deleted.
-- Guard: none; schedule_lock came before. Index: the primary key.
-- Given: schedule bigint
DELETE FROM jobs_admin_schedule AS schedule USING given WHERE schedule.id = given.schedule
