-- Whether a type limits how many of its jobs run at once.
-- Guard: none, it reads. Index: the primary key (project, name).
SELECT 1 FROM jobs_admin_jobtype
WHERE project_id = :project AND name = :type AND (concurrency IS NOT NULL OR partition_concurrency IS NOT NULL)
