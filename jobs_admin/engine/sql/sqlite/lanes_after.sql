-- The next lanes after one of them, of all projects, and when an enqueue made sure of each.
-- Guard: none, it reads. Index: the primary key (project, type, priority).
SELECT project_id, type, priority, seen_at_ms FROM jobs_admin_joblane
WHERE (project_id, type, priority) > (:project, :type, :priority)
ORDER BY project_id, type, priority LIMIT :limit
