-- What is known about a job's run, to decide what follows from its end.
-- Guard: none, it reads; the statement that ends the run checks. Index: the primary keys.
SELECT
    job.id, job.project_id, job.type, job.status, job.run, job.attempts, job.crashes, job.max_retries,
    coalesce(job.retry_base_ms, type.retry_base_ms), coalesce(job.retry_cap_ms, type.retry_cap_ms),
    job.cancel_requested_at_ms IS NOT NULL, job.due_at_ms, job.started_at_ms, job.worker_id, job.worker_name,
    job.payload_version
FROM jobs_admin_job AS job
LEFT JOIN jobs_admin_jobtype AS type ON type.project_id = job.project_id AND type.name = job.type
WHERE job.id = :id AND job.project_id = :project
