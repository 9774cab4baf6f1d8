-- The next partition keys of a type and priority that have pending jobs, with the first of each if it is due: a
-- skip-scan, one seek a key.
-- (The index's condition word for word: SQLite takes no other.)
-- Guard: none, it reads; lease checks again. Index: job_waiting_by_key, covering.
WITH RECURSIVE keys (key) AS (
    SELECT min(partition_key) FROM jobs_admin_job INDEXED BY job_waiting_by_key
    WHERE project_id = :project AND type = :type AND status = 'pending' AND NOT (partition_key = '')
        AND partition_key > :after
    UNION ALL
    SELECT (
        SELECT min(partition_key) FROM jobs_admin_job INDEXED BY job_waiting_by_key
        WHERE project_id = :project AND type = :type AND status = 'pending' AND NOT (partition_key = '')
            AND partition_key > keys.key
    )
    FROM keys WHERE keys.key IS NOT NULL
    LIMIT :limit
)
SELECT
    keys.key,
    (
        SELECT rowid FROM jobs_admin_job INDEXED BY job_waiting_by_key
        WHERE project_id = :project AND type = :type AND status = 'pending' AND NOT (partition_key = '')
            AND partition_key = keys.key AND priority = :priority AND due_at_ms <= :now
        ORDER BY due_at_ms LIMIT 1
    ),
    (
        SELECT min(due_at_ms) FROM jobs_admin_job INDEXED BY job_waiting_by_key
        WHERE project_id = :project AND type = :type AND status = 'pending' AND NOT (partition_key = '')
            AND partition_key = keys.key AND priority = :priority AND due_at_ms <= :now
    )
FROM keys WHERE keys.key IS NOT NULL
