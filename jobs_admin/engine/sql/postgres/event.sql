-- Add lines to jobs' timelines.
-- Guard: none, rows are only added. Index: event_of_job grows.
-- Given: id uuid, kind text, run integer, actor_kind text, actor_id text, actor_label text, door text, request_id text, details text
INSERT INTO jobs_admin_jobevent (
    job_id, at_ms, kind, run, actor_kind, actor_id, actor_label, door, request_id, details
)
SELECT id, :now, kind, run, actor_kind, actor_id, actor_label, door, request_id, details FROM given ORDER BY n
