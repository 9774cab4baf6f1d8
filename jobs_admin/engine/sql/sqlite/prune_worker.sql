-- Forget a worker that was not heard for long.
-- Guard: not heard since :not_since. Index: the primary key (project, worker).
DELETE FROM jobs_admin_worker WHERE project_id = :project AND worker_id = :id AND last_seen_at_ms <= :not_since
