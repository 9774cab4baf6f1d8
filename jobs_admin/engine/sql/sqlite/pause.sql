-- Let nobody lease jobs of a type.
-- Guard: it is not paused; the first pause stands. Index: the primary key (project, name).
INSERT INTO jobs_admin_jobtype (
    project_id, name, paused_at_ms, paused_by, pause_reason, retry_policy, secret_paths
) VALUES (:project, :type, :now, :by, :reason, '', '[]')
ON CONFLICT (project_id, name) DO UPDATE
SET paused_at_ms = excluded.paused_at_ms, paused_by = excluded.paused_by, pause_reason = excluded.pause_reason
WHERE paused_at_ms IS NULL
