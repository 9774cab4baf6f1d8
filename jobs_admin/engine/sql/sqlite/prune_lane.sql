-- Look no more for jobs of a type and priority.
-- Guard: no process goes by it (each makes sure of it again long before :not_since is reached), and the type has no job,
-- ended or not, so that none can be put back either. Index: the primary key (project, type, priority), job_by_type.
DELETE FROM jobs_admin_joblane
WHERE project_id = :project AND type = :type AND priority = :priority AND seen_at_ms <= :not_since AND NOT EXISTS (
    SELECT 1 FROM jobs_admin_job AS job WHERE job.project_id = :project AND job.type = :type
)
