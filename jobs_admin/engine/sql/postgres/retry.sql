-- Put ended jobs back: pending, due now, the whole budget again; with another payload if one is given.
-- Guard: they stand where they were read (status, one of the ended ones) at this run, and no other job holds their
-- unique key; where one takes it at this moment, the index refuses and the transaction runs again.
-- Index: the primary key, then job_holds_unique_key.
-- Given: id uuid, project bigint, run integer, status text, payload text, payload_bytes integer
UPDATE jobs_admin_job AS job
SET status = 'pending', due_at_ms = :now, started_at_ms = NULL, ended_at_ms = NULL, attempts = 0, crashes = 0,
    cancel_requested_at_ms = NULL, cancel_requested_by = '', error_type = '', error_message = '', traceback = '',
    result = '', worker_id = '', worker_name = '', deadline_at_ms = NULL, holds_key = job.unique_key <> '',
    payload = coalesce(given.payload, job.payload), payload_bytes = coalesce(given.payload_bytes, job.payload_bytes),
    payload_version = job.payload_version + (given.payload IS NOT NULL)::integer
FROM given
WHERE job.id = given.id AND job.project_id = given.project AND job.run = given.run
    AND job.status = given.status AND job.status IN ('completed', 'failed', 'cancelled')
    AND NOT EXISTS (
        SELECT 1 FROM jobs_admin_job AS holder
        WHERE holder.project_id = job.project_id AND holder.type = job.type AND holder.unique_key = job.unique_key
            AND holder.holds_key AND holder.id <> job.id
    )
RETURNING given.n, 1
