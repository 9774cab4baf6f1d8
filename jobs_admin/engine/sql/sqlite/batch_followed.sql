-- Keep which job a batch's end enqueued.
-- Guard: none before it. Index: the primary key.
UPDATE jobs_admin_batch SET completion_job_id = :job WHERE id = :batch AND completion_job_id IS NULL
