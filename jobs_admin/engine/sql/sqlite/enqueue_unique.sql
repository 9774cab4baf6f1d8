-- Add one pending job that holds its unique key; nothing if another job holds it.
-- Guard: the unique index job_holds_unique_key. Index: every index of the table grows at its end.
INSERT INTO jobs_admin_job (
    id, project_id, type, status, priority, run, attempts, crashes, max_retries, created_at_ms, due_at_ms,
    lease_token, worker_id, worker_name, cancel_requested_by, retry_policy, timeout_ms, deadline_at_ms, unique_key,
    unique_until_ms, holds_key, partition_key, batch_id, traceparent, enqueued_by, enqueued_door, payload_version,
    payload_bytes, tags, error_type, error_message, payload, result, traceback
) VALUES (
    :id, :project, :type, 'pending', :priority, 0, 0, 0,
    coalesce(
        :max_retries,
        (SELECT max_retries FROM jobs_admin_jobtype WHERE project_id = :project AND name = :type),
        :default_retries
    ),
    :now, :due, '', '', '', '', :retry_policy, :timeout, :deadline, :unique_key,
    :unique_until, :holds_key, :partition_key, :batch, :traceparent, :by, :door, 1,
    :payload_bytes, :tags, '', '', :payload, '', ''
)
ON CONFLICT (project_id, type, unique_key) WHERE holds_key = 1 DO NOTHING
RETURNING 1
