-- How many jobs of types with these partition keys are being processed.
-- Guard: none, it reads; type_lock lets no other transaction start one. Index: job_running_by_key, covering.
-- Given: project bigint, type text, partition_key text
SELECT given.n, counted.jobs
FROM given
CROSS JOIN LATERAL (
    SELECT count(*) AS jobs FROM jobs_admin_job AS job
    WHERE job.project_id = given.project AND job.type = given.type AND job.status = 'processing'
        AND job.partition_key <> '' AND job.partition_key = given.partition_key
) AS counted
