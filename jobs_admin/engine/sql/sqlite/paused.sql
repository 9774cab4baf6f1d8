-- The types of a project that nobody may lease.
-- Guard: none, it reads. Index: the primary key (project, name).
SELECT name FROM jobs_admin_jobtype WHERE project_id = :project AND paused_at_ms IS NOT NULL
