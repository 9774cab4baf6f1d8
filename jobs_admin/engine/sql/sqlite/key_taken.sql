-- Whether another job holds the unique key that this ended one would need again.
-- Guard: none, it reads; retry checks again. Index: the primary key, then job_holds_unique_key.
SELECT 1
FROM jobs_admin_job AS job
WHERE job.id = :id AND job.project_id = :project AND job.status IN ('completed', 'failed', 'cancelled')
    AND EXISTS (
        SELECT 1 FROM jobs_admin_job AS holder
        WHERE holder.project_id = job.project_id AND holder.type = job.type AND holder.unique_key = job.unique_key
            AND holder.holds_key = 1 AND holder.id <> job.id
    )
