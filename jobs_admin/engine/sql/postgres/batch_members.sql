-- The unfinished members of a batch in the order of their ids, from one moment: a job that moves between the two
-- statuses meanwhile is neither left out nor listed twice.
-- Guard: none, it reads. Index: job_of_batch. Each part has the limit too: else all members are read and sorted.
(
    SELECT id FROM jobs_admin_job
    WHERE batch_id = :batch AND status = 'pending' AND id > :after AND id <= :until
    ORDER BY id LIMIT :limit
)
UNION ALL
(
    SELECT id FROM jobs_admin_job
    WHERE batch_id = :batch AND status = 'processing' AND id > :after AND id <= :until
    ORDER BY id LIMIT :limit
)
ORDER BY id LIMIT :limit
