-- Give later jobs' payloads and times to those that hold their unique keys.
-- Guard: they hold the key and have never begun. Index: job_holds_unique_key.
-- Given: project bigint, type text, unique_key text, payload text, payload_bytes integer, due bigint, priority smallint,
-- Given: max_retries integer, retry_policy text, timeout bigint, deadline bigint, unique_until bigint
UPDATE jobs_admin_job AS job
SET payload = given.payload, payload_bytes = given.payload_bytes, payload_version = job.payload_version + 1,
    due_at_ms = given.due, priority = given.priority, max_retries = coalesce(given.max_retries, job.max_retries),
    retry_policy = given.retry_policy, timeout_ms = given.timeout, deadline_at_ms = given.deadline,
    unique_until_ms = given.unique_until
FROM given
WHERE job.project_id = given.project AND job.type = given.type AND job.unique_key = given.unique_key AND job.holds_key
    AND job.status || '' = 'pending' AND job.run = 0
RETURNING given.n, job.id, job.run, job.payload_version
