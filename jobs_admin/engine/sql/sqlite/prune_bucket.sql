-- Forget a rate bucket that is full: without one it counts as full.
-- Guard: nothing was taken from it since it was read. Index: the primary key (project, type, key).
DELETE FROM jobs_admin_ratebucket
WHERE project_id = :project AND type = :type AND partition_key = :partition_key AND at_ms = :at AND tokens = :tokens
