-- Add one pending job.
-- Guard: none; the id is new. Index: every index of the table grows at its end, because ids follow time.
INSERT INTO jobs_admin_job (
    id, project_id, type, status, priority, run, attempts, crashes, max_retries, created_at_ms, due_at_ms,
    lease_token, worker_id, worker_name, cancel_requested_by, retry_base_ms, retry_cap_ms, enqueued_by, enqueued_door,
    payload_version, payload_bytes, error_type, error_message, payload, result, traceback
) VALUES (
    :id, :project, :type, 'pending', :priority, 0, 0, 0, :max_retries, :now, :due,
    '', '', '', '', :retry_base, :retry_cap, :by, :door,
    1, :payload_bytes, '', '', :payload, '', ''
)
