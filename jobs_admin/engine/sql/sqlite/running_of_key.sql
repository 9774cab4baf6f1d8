-- How many jobs of a type with this partition key are being processed.
-- Guard: none, it reads; in this transaction no other starts one. Index: job_running_by_key, covering.
SELECT count(*) FROM jobs_admin_job INDEXED BY job_running_by_key
WHERE project_id = :project AND type = :type AND status = 'processing' AND NOT (partition_key = '')
    AND partition_key = :partition_key
