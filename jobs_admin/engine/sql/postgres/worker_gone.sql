-- Note that a supervisor saw workers die.
-- Guard: not noted before. Index: the primary key (project, worker).
-- Given: project bigint, id text, reason text
UPDATE jobs_admin_worker AS worker SET lost_at_ms = :now, lost_reason = given.reason
FROM given
WHERE worker.project_id = given.project AND worker.worker_id = given.id AND worker.lost_at_ms IS NULL
