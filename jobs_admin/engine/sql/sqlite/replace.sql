-- Give a later job's payload and times to the one that holds its unique key.
-- Guard: it holds the key and has never begun. Index: job_holds_unique_key.
UPDATE jobs_admin_job
SET payload = :payload, payload_bytes = :payload_bytes, payload_version = payload_version + 1, due_at_ms = :due,
    priority = :priority, max_retries = coalesce(:max_retries, max_retries), retry_policy = :retry_policy,
    timeout_ms = :timeout, deadline_at_ms = :deadline, unique_until_ms = :unique_until
WHERE project_id = :project AND type = :type AND unique_key = :unique_key AND holds_key = 1
    AND status = 'pending' AND run = 0
RETURNING id, run, payload_version
