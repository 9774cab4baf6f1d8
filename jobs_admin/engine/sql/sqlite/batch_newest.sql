-- The newest unfinished member of a batch.
-- Guard: none, it reads. Index: job_of_batch.
SELECT id FROM jobs_admin_job WHERE batch_id = :batch AND status = 'pending'
UNION ALL
SELECT id FROM jobs_admin_job WHERE batch_id = :batch AND status = 'processing'
ORDER BY id DESC LIMIT 1
