-- What a schedule enqueues.
-- Guard: none, it reads. Index: schedule_name.
SELECT job FROM jobs_admin_schedule WHERE project_id = :project AND name = :name
