-- The next batches after one of them, of all projects, and whether a batch has ended by :not_since and has no member left.
-- Guard: none, it reads. Index: the primary key, job_of_batch.
SELECT batch.id, batch.ended_at_ms IS NOT NULL AND batch.ended_at_ms <= :not_since AND NOT EXISTS (
    SELECT 1 FROM jobs_admin_job AS job WHERE job.batch_id = batch.id
)
FROM jobs_admin_batch AS batch
WHERE batch.id > :after
ORDER BY batch.id LIMIT :limit
