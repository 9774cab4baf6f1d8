-- Delete a schedule whose slots are deleted.
-- Guard: none; schedule_lock came before. Index: the primary key.
DELETE FROM jobs_admin_schedule WHERE id = :schedule
