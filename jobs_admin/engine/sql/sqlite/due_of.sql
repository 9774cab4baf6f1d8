-- When a job is due, and where it stands.
-- Guard: none, it reads. Index: the primary key.
SELECT status, due_at_ms FROM jobs_admin_job WHERE id = :id AND project_id = :project
