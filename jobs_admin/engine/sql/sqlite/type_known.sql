-- Whether a project has a type: lanes of it, or settings.
-- Guard: none, it reads. Index: the primary keys (project, type, priority) and (project, name).
SELECT 1 FROM jobs_admin_joblane WHERE project_id = :project AND type = :type
UNION ALL
SELECT 1 FROM jobs_admin_jobtype WHERE project_id = :project AND name = :type
LIMIT 1
