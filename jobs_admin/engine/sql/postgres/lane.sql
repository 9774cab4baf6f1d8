-- Have leases look for jobs of these types and priorities, and note that somebody enqueues them.
-- Guard: they are not there yet, or were made sure of before. Index: the primary key (project, type, priority).
-- Given: project bigint, type text, priority smallint
INSERT INTO jobs_admin_joblane AS lane (project_id, type, priority, seen_at_ms)
SELECT project, type, priority, :now::bigint FROM given ORDER BY n
ON CONFLICT (project_id, type, priority) DO UPDATE SET seen_at_ms = excluded.seen_at_ms
WHERE lane.seen_at_ms IS NULL OR lane.seen_at_ms < excluded.seen_at_ms
