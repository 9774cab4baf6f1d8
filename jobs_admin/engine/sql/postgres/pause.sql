-- Let nobody lease jobs of types.
-- Guard: not paused; the first pause stands. Index: the primary key (project, name).
-- Given: project bigint, type text, by text, reason text
INSERT INTO jobs_admin_jobtype AS type (
    project_id, name, paused_at_ms, paused_by, pause_reason, retry_policy, secret_paths
)
SELECT project, given.type, :now, given.by, given.reason, '', '[]' FROM given
ON CONFLICT (project_id, name) DO UPDATE
SET paused_at_ms = excluded.paused_at_ms, paused_by = excluded.paused_by, pause_reason = excluded.pause_reason
WHERE type.paused_at_ms IS NULL
