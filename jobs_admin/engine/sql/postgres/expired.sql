-- The runs whose lease has expired, longest ago first; the columns of run, then the expiry. From :since on: see marks.
-- Guard: none, it reads; settle_expired checks again. Index: job_lease_expiry.
SELECT
    job.id, job.project_id, job.type, job.status, job.run, job.attempts, job.crashes, job.max_retries,
    job.retry_policy, type.retry_policy, job.cancel_requested_at_ms IS NOT NULL, job.due_at_ms, job.started_at_ms,
    job.lease_expires_at_ms >= job.run_ends_at_ms, job.worker_id, job.worker_name, job.payload_version, job.batch_id, job.lease_token,
    job.lease_expires_at_ms
FROM jobs_admin_job AS job
LEFT JOIN jobs_admin_jobtype AS type ON type.project_id = job.project_id AND type.name = job.type
WHERE job.status = 'processing' AND job.lease_expires_at_ms >= :since AND job.lease_expires_at_ms <= :now
ORDER BY job.lease_expires_at_ms
LIMIT :limit
