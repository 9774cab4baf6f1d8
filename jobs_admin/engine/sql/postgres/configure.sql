-- Replace all that types say, except their pauses.
-- Guard: none, the last one wins. Index: the primary key (project, name).
-- Given: project bigint, type text, retry_policy text, max_retries integer, lease_ms bigint, timeout_ms bigint
-- Given: concurrency integer, rate integer, rate_per_ms bigint, rate_burst integer, partition_concurrency integer
-- Given: partition_rate integer, partition_rate_per_ms bigint, partition_rate_burst integer
-- Given: retention_completed_s bigint, retention_failed_s bigint, retention_cancelled_s bigint, secret_paths text
INSERT INTO jobs_admin_jobtype (
    project_id, name, paused_by, pause_reason, retry_policy, max_retries, lease_ms, timeout_ms, concurrency, rate,
    rate_per_ms, rate_burst, partition_concurrency, partition_rate, partition_rate_per_ms, partition_rate_burst,
    retention_completed_s, retention_failed_s, retention_cancelled_s, secret_paths
)
SELECT
    project, type, '', '', retry_policy, max_retries, lease_ms, timeout_ms, concurrency, rate,
    rate_per_ms, rate_burst, partition_concurrency, partition_rate, partition_rate_per_ms, partition_rate_burst,
    retention_completed_s, retention_failed_s, retention_cancelled_s, secret_paths
FROM given
ON CONFLICT (project_id, name) DO UPDATE
SET retry_policy = excluded.retry_policy, max_retries = excluded.max_retries, lease_ms = excluded.lease_ms,
    timeout_ms = excluded.timeout_ms, concurrency = excluded.concurrency, rate = excluded.rate,
    rate_per_ms = excluded.rate_per_ms, rate_burst = excluded.rate_burst,
    partition_concurrency = excluded.partition_concurrency, partition_rate = excluded.partition_rate,
    partition_rate_per_ms = excluded.partition_rate_per_ms, partition_rate_burst = excluded.partition_rate_burst,
    retention_completed_s = excluded.retention_completed_s, retention_failed_s = excluded.retention_failed_s,
    retention_cancelled_s = excluded.retention_cancelled_s, secret_paths = excluded.secret_paths
