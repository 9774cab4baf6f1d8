-- The jobs of these lanes that are due and not past their deadline, longest due first, with their partition keys, for
-- types that have limits by key; without the first `skip` ones.
-- Guard: none, it reads; type_lock lets nobody else start jobs of these types, and lease checks again.
-- Index: job_lease_order.
-- Given: project bigint, type text, priority smallint, limit bigint, skip bigint, since bigint
SELECT given.n, head.id, head.payload_bytes, head.due_at_ms, head.partition_key
FROM given
CROSS JOIN LATERAL (
    SELECT job.id, job.payload_bytes, job.due_at_ms, job.partition_key FROM jobs_admin_job AS job
    WHERE job.project_id = given.project AND job.type = given.type AND job.priority = given.priority
        AND job.status = 'pending' AND job.due_at_ms >= given.since AND job.due_at_ms <= :now
        AND (job.deadline_at_ms IS NULL OR job.deadline_at_ms > :now)
    ORDER BY job.due_at_ms
    LIMIT given."limit" OFFSET given.skip
) AS head
