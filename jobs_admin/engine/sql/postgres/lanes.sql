-- Where a project's jobs of these types (null: all) wait and since when, with what their types say. Each lane is looked
-- at from its mark on, if it has one: a JSON object's member, which is found without a walk through all of them.
-- Guard: none, it reads; types that are paused are left out. Index: the lanes' primary key; for each lane the first
-- entry of job_lease_order.
SELECT
    lane.type, lane.priority, first.due_at_ms,
    type.lease_ms, type.timeout_ms, type.concurrency, type.rate, type.rate_per_ms, type.rate_burst,
    type.partition_concurrency, type.partition_rate, type.partition_rate_per_ms, type.partition_rate_burst
FROM jobs_admin_joblane AS lane
LEFT JOIN jobs_admin_jobtype AS type ON type.project_id = lane.project_id AND type.name = lane.type
LEFT JOIN LATERAL (
    SELECT job.due_at_ms FROM jobs_admin_job AS job
    WHERE job.project_id = lane.project_id AND job.type = lane.type AND job.priority = lane.priority
        AND job.status = 'pending' AND job.due_at_ms >= coalesce((:marks::jsonb ->> (lane.type || ' ' || lane.priority))::bigint, 0)
    ORDER BY job.due_at_ms
    LIMIT 1
) AS first ON true
WHERE lane.project_id = :project AND type.paused_at_ms IS NULL
    AND (:types::text[] IS NULL OR lane.type = ANY (:types::text[]))
