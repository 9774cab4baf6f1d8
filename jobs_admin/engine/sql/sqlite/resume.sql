-- Take a pause back.
-- Guard: it is paused. Index: the primary key (project, name).
UPDATE jobs_admin_jobtype SET paused_at_ms = NULL, paused_by = '', pause_reason = ''
WHERE project_id = :project AND name = :type AND paused_at_ms IS NOT NULL
RETURNING 1
