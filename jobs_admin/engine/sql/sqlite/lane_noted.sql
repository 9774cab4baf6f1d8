-- Begin to count how long nobody has enqueued to a lane that is older than this note.
-- Guard: nothing is noted. Index: the primary key (project, type, priority).
UPDATE jobs_admin_joblane SET seen_at_ms = :now
WHERE project_id = :project AND type = :type AND priority = :priority AND seen_at_ms IS NULL
