-- Have leases look for jobs of this type and priority, and note that somebody enqueues them.
-- Guard: it is not there yet, or was made sure of before. Index: the primary key (project, type, priority).
INSERT INTO jobs_admin_joblane (project_id, type, priority, seen_at_ms) VALUES (:project, :type, :priority, :now)
ON CONFLICT (project_id, type, priority) DO UPDATE SET seen_at_ms = excluded.seen_at_ms
WHERE seen_at_ms IS NULL OR seen_at_ms < excluded.seen_at_ms
