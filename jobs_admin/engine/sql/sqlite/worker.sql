-- Note that a worker was heard, at most every few seconds, so that idle ones cost no writes.
-- Guard: it is new, or was last noted before :not_since. Index: the primary key (project, worker).
INSERT INTO jobs_admin_worker (
    project_id, worker_id, hostname, pid, version, first_seen_at_ms, last_seen_at_ms, lost_reason
) VALUES (:project, :id, :hostname, :pid, :version, :now, :now, '')
ON CONFLICT (project_id, worker_id) DO UPDATE SET last_seen_at_ms = excluded.last_seen_at_ms
WHERE last_seen_at_ms < :not_since
