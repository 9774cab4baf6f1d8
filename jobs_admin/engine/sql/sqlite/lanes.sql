-- Where a project's jobs of these types (a JSON array; null: all) wait and since when, with what their types say.
-- Guard: none, it reads; types that are paused are left out. Index: the lanes' primary key; for each lane the first
-- entry of job_lease_order.
SELECT
    lane.type, lane.priority,
    (
        SELECT job.due_at_ms FROM jobs_admin_job AS job INDEXED BY job_lease_order
        WHERE job.project_id = lane.project_id AND job.type = lane.type AND job.priority = lane.priority
            AND job.status = 'pending'
        ORDER BY job.due_at_ms LIMIT 1
    ),
    type.lease_ms, type.timeout_ms, type.concurrency, type.rate, type.rate_per_ms, type.rate_burst,
    type.partition_concurrency, type.partition_rate, type.partition_rate_per_ms, type.partition_rate_burst
FROM jobs_admin_joblane AS lane
LEFT JOIN jobs_admin_jobtype AS type ON type.project_id = lane.project_id AND type.name = lane.type
WHERE lane.project_id = :project AND type.paused_at_ms IS NULL
    AND (:types IS NULL OR lane.type IN (SELECT value FROM json_each(:types)))
