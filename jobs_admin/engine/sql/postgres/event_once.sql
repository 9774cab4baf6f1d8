-- Add lines to jobs' timelines, unless they have one of this kind about this run.
-- Guard: there is none. Index: event_of_job.
-- Given: id uuid, kind text, run integer, actor_kind text, actor_id text, actor_label text, door text, request_id text, details text
INSERT INTO jobs_admin_jobevent (
    job_id, at_ms, kind, run, actor_kind, actor_id, actor_label, door, request_id, details
)
SELECT id, :now, kind, run, actor_kind, actor_id, actor_label, door, request_id, details
FROM given
WHERE NOT EXISTS (
    SELECT 1 FROM jobs_admin_jobevent AS event
    WHERE event.job_id = given.id AND event.kind = given.kind AND event.run = given.run
)
ORDER BY n
