-- Add a line to a job's timeline.
-- Guard: none, rows are only added. Index: event_of_job grows.
INSERT INTO jobs_admin_jobevent (
    job_id, at_ms, kind, run, actor_kind, actor_id, actor_label, door, request_id, details
) VALUES (:id, :now, :kind, :run, :actor_kind, :actor_id, :actor_label, :door, :request_id, :details)
