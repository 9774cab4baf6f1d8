-- The next workers after one of them, of all projects, and when each was heard last.
-- Guard: none, it reads. Index: the primary key (project, worker).
SELECT project_id, worker_id, last_seen_at_ms FROM jobs_admin_worker
WHERE (project_id, worker_id) > (:project, :id)
ORDER BY project_id, worker_id LIMIT :limit
