-- The next partition keys of a type and priority that have pending jobs, with the first of each if it is due: a
-- skip-scan, one seek a key.
-- Guard: none, it reads; lease checks again. Index: job_waiting_by_key, covering.
WITH RECURSIVE keys (key) AS (
    (
        SELECT partition_key FROM jobs_admin_job
        WHERE project_id = :project AND type = :type AND status = 'pending' AND partition_key <> ''
            AND partition_key > :after
        ORDER BY partition_key LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT partition_key FROM jobs_admin_job
        WHERE project_id = :project AND type = :type AND status = 'pending' AND partition_key <> ''
            AND partition_key > keys.key
        ORDER BY partition_key LIMIT 1
    )
    FROM keys WHERE keys.key IS NOT NULL
)
SELECT keys.key, first.id, first.due_at_ms
FROM (SELECT key FROM keys WHERE key IS NOT NULL LIMIT :limit) AS keys
LEFT JOIN LATERAL (
    SELECT id, due_at_ms FROM jobs_admin_job
    WHERE project_id = :project AND type = :type AND status = 'pending' AND partition_key <> ''
        AND partition_key = keys.key AND priority = :priority AND due_at_ms <= :now
    ORDER BY due_at_ms LIMIT 1
) AS first ON true
