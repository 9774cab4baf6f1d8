-- Keep which jobs batches' ends enqueued.
-- Guard: none before it. Index: the primary key.
-- Given: batch uuid, job uuid
UPDATE jobs_admin_batch AS batch SET completion_job_id = given.job
FROM given
WHERE batch.id = given.batch AND batch.completion_job_id IS NULL
