-- Look no more for jobs of types and priorities.
-- Guard: no process goes by them (each makes sure of them again long before :not_since is reached), and the type has no
-- job, ended or not, so that none can be put back either. Index: the primary key (project, type, priority), job_by_type.
-- Given: project bigint, type text, priority smallint
DELETE FROM jobs_admin_joblane AS lane
USING given
WHERE lane.project_id = given.project AND lane.type = given.type AND lane.priority = given.priority
    AND lane.seen_at_ms <= :not_since AND NOT EXISTS (
        SELECT 1 FROM jobs_admin_job AS job WHERE job.project_id = given.project AND job.type = given.type
    )
