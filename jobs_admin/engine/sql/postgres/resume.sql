-- Take pauses back.
-- Guard: paused. Index: the primary key (project, name).
-- Given: project bigint, type text
UPDATE jobs_admin_jobtype AS type SET paused_at_ms = NULL, paused_by = '', pause_reason = ''
FROM given
WHERE type.project_id = given.project AND type.name = given.type AND type.paused_at_ms IS NOT NULL
RETURNING given.n, 1
