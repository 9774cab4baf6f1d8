-- Whether projects have types: lanes of them, or settings.
-- Guard: none, it reads. Index: the primary keys (project, type, priority) and (project, name).
-- Given: project bigint, type text
SELECT given.n, 1 FROM given
WHERE EXISTS (SELECT 1 FROM jobs_admin_joblane AS lane WHERE lane.project_id = given.project AND lane.type = given.type)
    OR EXISTS (SELECT 1 FROM jobs_admin_jobtype AS type WHERE type.project_id = given.project AND type.name = given.type)
