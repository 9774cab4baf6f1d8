-- The starts that a type (key '') or a partition key had left, and when.
-- Guard: none, it reads. Index: the primary key (project, type, key).
SELECT tokens, at_ms FROM jobs_admin_ratebucket
WHERE project_id = :project AND type = :type AND partition_key = :partition_key
