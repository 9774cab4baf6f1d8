-- Of these ended jobs, those whose unique key, which they would need again, another job holds.
-- Guard: none, it reads; retry checks again. Index: the primary key, then job_holds_unique_key.
-- Given: id uuid, project bigint
SELECT given.n, 1
FROM given
JOIN jobs_admin_job AS job ON job.id = given.id AND job.project_id = given.project
WHERE job.status IN ('completed', 'failed', 'cancelled')
    AND EXISTS (
        SELECT 1 FROM jobs_admin_job AS holder
        WHERE holder.project_id = job.project_id AND holder.type = job.type AND holder.unique_key = job.unique_key
            AND holder.holds_key AND holder.id <> job.id
    )
