-- Put an ended job back: pending, due now, the whole budget again; with another payload if one is given.
-- Guard: it stands where it was read (:status, one of the ended ones) at this run, and no other job holds its unique
-- key. Index: the primary key, then job_holds_unique_key.
UPDATE jobs_admin_job AS job
SET status = 'pending', due_at_ms = :now, started_at_ms = NULL, ended_at_ms = NULL, attempts = 0, crashes = 0,
    cancel_requested_at_ms = NULL, cancel_requested_by = '', error_type = '', error_message = '', traceback = '',
    result = '', worker_id = '', worker_name = '', deadline_at_ms = NULL, holds_key = unique_key <> '',
    payload = coalesce(:payload, payload), payload_bytes = coalesce(:payload_bytes, payload_bytes),
    payload_version = payload_version + (:payload IS NOT NULL)
WHERE id = :id AND project_id = :project AND run = :run
    AND status = :status AND status IN ('completed', 'failed', 'cancelled')
    AND NOT EXISTS (
        SELECT 1 FROM jobs_admin_job AS holder
        WHERE holder.project_id = job.project_id AND holder.type = job.type AND holder.unique_key = job.unique_key
            AND holder.holds_key = 1 AND holder.id <> job.id
    )
RETURNING 1
