-- Forget workers that were not heard for long.
-- Guard: not heard since :not_since. Index: the primary key (project, worker).
-- Given: project bigint, id text
DELETE FROM jobs_admin_worker AS worker
USING given
WHERE worker.project_id = given.project AND worker.worker_id = given.id AND worker.last_seen_at_ms <= :not_since
