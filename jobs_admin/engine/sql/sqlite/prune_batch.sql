-- Forget a batch that ended long ago.
-- Guard: ended by :not_since and without a member: it is sealed, so none comes, and there is none to put back. Index: the
-- primary key, job_of_batch.
DELETE FROM jobs_admin_batch
WHERE id = :batch AND ended_at_ms <= :not_since AND NOT EXISTS (
    SELECT 1 FROM jobs_admin_job AS job WHERE job.batch_id = :batch
)
RETURNING id
