-- Begin to count how long nobody has enqueued to lanes that are older than this note.
-- Guard: nothing is noted. Index: the primary key (project, type, priority).
-- Given: project bigint, type text, priority smallint
UPDATE jobs_admin_joblane AS lane SET seen_at_ms = :now
FROM given
WHERE lane.project_id = given.project AND lane.type = given.type AND lane.priority = given.priority
    AND lane.seen_at_ms IS NULL
