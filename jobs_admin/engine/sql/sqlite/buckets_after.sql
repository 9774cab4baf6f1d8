-- The next rate buckets after one of them, with what their types say.
-- Guard: none, it reads. Index: the primary key (project, type, key), then the types'.
SELECT
    bucket.project_id, bucket.type, bucket.partition_key, bucket.tokens, bucket.at_ms,
    type.rate, type.rate_per_ms, type.rate_burst, type.partition_rate, type.partition_rate_per_ms,
    type.partition_rate_burst
FROM jobs_admin_ratebucket AS bucket
LEFT JOIN jobs_admin_jobtype AS type ON type.project_id = bucket.project_id AND type.name = bucket.type
WHERE (bucket.project_id, bucket.type, bucket.partition_key) > (:project, :type, :partition_key)
ORDER BY bucket.project_id, bucket.type, bucket.partition_key
LIMIT :limit
