-- Forget batches that ended long ago.
-- Guard: ended by :not_since and without a member: they are sealed, so none comes, and there is none to put back. Index:
-- the primary key, job_of_batch.
-- Given: batch uuid
DELETE FROM jobs_admin_batch AS batch
USING given
WHERE batch.id = given.batch AND batch.ended_at_ms <= :not_since AND NOT EXISTS (
    SELECT 1 FROM jobs_admin_job AS job WHERE job.batch_id = given.batch
)
RETURNING given.n, batch.id
