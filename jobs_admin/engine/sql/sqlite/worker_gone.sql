-- Note that a supervisor saw a worker die.
-- Guard: not noted before. Index: the primary key (project, worker).
UPDATE jobs_admin_worker SET lost_at_ms = :now, lost_reason = :reason
WHERE project_id = :project AND worker_id = :id AND lost_at_ms IS NULL
