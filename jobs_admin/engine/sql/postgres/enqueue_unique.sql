-- Add pending jobs that hold their unique keys; nothing of one whose key another job holds.
-- Guard: the unique index job_holds_unique_key. Index: every index of the table grows at its end.
-- Given: id uuid, project bigint, type text, priority smallint, max_retries integer, due bigint, retry_policy text,
-- Given: timeout bigint, deadline bigint, unique_key text, unique_until bigint, holds_key boolean, partition_key text,
-- Given: batch uuid, traceparent text, tags text, by text, door text, payload text, payload_bytes integer
WITH added AS (
    INSERT INTO jobs_admin_job (
        id, project_id, type, status, priority, run, attempts, crashes, max_retries, created_at_ms, due_at_ms,
        lease_token, worker_id, worker_name, cancel_requested_by, retry_policy, timeout_ms, deadline_at_ms, unique_key,
        unique_until_ms, holds_key, partition_key, batch_id, traceparent, enqueued_by, enqueued_door, payload_version,
        payload_bytes, tags, error_type, error_message, payload, result, traceback
    )
    SELECT
        given.id, given.project, given.type, 'pending', given.priority, 0, 0, 0,
        coalesce(given.max_retries, type.max_retries, :default_retries), :now, given.due,
        '', '', '', '', given.retry_policy, given.timeout, given.deadline, given.unique_key,
        given.unique_until, given.holds_key, given.partition_key, given.batch, given.traceparent, given.by, given.door,
        1, given.payload_bytes, given.tags, '', '', given.payload, '', ''
    FROM given
    LEFT JOIN jobs_admin_jobtype AS type ON type.project_id = given.project AND type.name = given.type
    ORDER BY given.project, given.type, given.unique_key
    ON CONFLICT (project_id, type, unique_key) WHERE holds_key DO NOTHING
    RETURNING id
)
SELECT given.n, 1 FROM added JOIN given ON given.id = added.id
