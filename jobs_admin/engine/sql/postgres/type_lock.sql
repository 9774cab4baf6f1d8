-- Have no other transaction start jobs of these types until this one ends.
-- Guard: the rows' locks, taken in the order of their names. Index: the primary key (project, name).
-- Given: project bigint, type text
SELECT given.n, 1
FROM given
JOIN jobs_admin_jobtype AS type ON type.project_id = given.project AND type.name = given.type
ORDER BY type.project_id, type.name
FOR UPDATE OF type
