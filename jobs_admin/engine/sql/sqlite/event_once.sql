-- Add a line to a job's timeline, unless it has one of this kind about this run.
-- Guard: there is none. Index: event_of_job.
INSERT INTO jobs_admin_jobevent (
    job_id, at_ms, kind, run, actor_kind, actor_id, actor_label, door, request_id, details
)
SELECT :id, :now, :kind, :run, :actor_kind, :actor_id, :actor_label, :door, :request_id, :details
WHERE NOT EXISTS (SELECT 1 FROM jobs_admin_jobevent WHERE job_id = :id AND kind = :kind AND run = :run)
