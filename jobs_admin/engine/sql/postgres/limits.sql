-- Whether types limit how many of their jobs run at once.
-- Guard: none, it reads. Index: the primary key (project, name).
-- Given: project bigint, type text
SELECT given.n, 1
FROM given
JOIN jobs_admin_jobtype AS type ON type.project_id = given.project AND type.name = given.type
WHERE type.concurrency IS NOT NULL OR type.partition_concurrency IS NOT NULL
