-- The starts that types (key '') or partition keys had left, and when.
-- Guard: none, it reads. Index: the primary key (project, type, key).
-- Given: project bigint, type text, partition_key text
SELECT given.n, bucket.tokens, bucket.at_ms
FROM given
JOIN jobs_admin_ratebucket AS bucket
    ON bucket.project_id = given.project AND bucket.type = given.type AND bucket.partition_key = given.partition_key
