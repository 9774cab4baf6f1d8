-- Delete all slots of a schedule.
-- Guard: none; schedule_lock came before. Index: the primary key.
DELETE FROM jobs_admin_scheduleslot WHERE schedule_id = :schedule
