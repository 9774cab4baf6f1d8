-- What is known about jobs' runs, to decide what follows from their end.
-- Guard: none, it reads; the statement that ends a run checks. Index: the primary keys.
-- Given: id uuid, project bigint
SELECT
    given.n, job.id, job.project_id, job.type, job.status, job.run, job.attempts, job.crashes, job.max_retries,
    job.retry_policy, type.retry_policy, job.cancel_requested_at_ms IS NOT NULL, job.due_at_ms, job.started_at_ms,
    job.lease_expires_at_ms >= job.run_ends_at_ms, job.worker_id, job.worker_name, job.payload_version, job.batch_id, job.lease_token
FROM given
JOIN jobs_admin_job AS job ON job.id = given.id AND job.project_id = given.project
LEFT JOIN jobs_admin_jobtype AS type ON type.project_id = job.project_id AND type.name = job.type
