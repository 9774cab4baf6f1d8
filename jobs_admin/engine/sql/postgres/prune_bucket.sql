-- Forget rate buckets that are full: without one it counts as full.
-- Guard: nothing was taken from it since it was read. Index: the primary key (project, type, key).
-- Given: project bigint, type text, partition_key text, at bigint, tokens double precision
DELETE FROM jobs_admin_ratebucket AS bucket
USING given
WHERE bucket.project_id = given.project AND bucket.type = given.type AND bucket.partition_key = given.partition_key
    AND bucket.at_ms = given.at AND bucket.tokens = given.tokens
