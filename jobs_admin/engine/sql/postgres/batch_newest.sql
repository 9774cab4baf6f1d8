-- The newest unfinished member of a batch.
-- Guard: none, it reads. Index: job_of_batch. Each part has the limit too: else all members are read and sorted.
(SELECT id FROM jobs_admin_job WHERE batch_id = :batch AND status = 'pending' ORDER BY id DESC LIMIT 1)
UNION ALL
(SELECT id FROM jobs_admin_job WHERE batch_id = :batch AND status = 'processing' ORDER BY id DESC LIMIT 1)
ORDER BY id DESC LIMIT 1
