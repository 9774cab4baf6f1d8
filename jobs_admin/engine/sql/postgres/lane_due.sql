-- The jobs of these lanes that are due and not past their deadline, at most `limit` of each: together the most urgent of
-- as many as are asked for, and no other lease gets them before this transaction ends. From each lane's `since` on: see
-- marks. Several lanes may give fewer, or none, if those that come first are locked or past their deadline.
-- Guard: jobs that another transaction has locked are passed over; lease checks again. Index: job_lease_order; how many
-- each lane gives is decided before any is locked, by an index-only look, unless there is only one lane.
-- Given: project bigint, type text, priority smallint, limit bigint, since bigint
WITH shares AS (
    SELECT n, project, type, priority, since, "limit" AS share FROM given WHERE (SELECT count(*) FROM given) = 1
    UNION ALL
    SELECT n, project, type, priority, since, count(*) FROM (
        SELECT given.n, given.project, given.type, given.priority, given.since
        FROM given
        CROSS JOIN LATERAL (
            SELECT due_at_ms FROM jobs_admin_job AS job
            WHERE job.project_id = given.project AND job.type = given.type AND job.priority = given.priority
                AND job.status = 'pending' AND job.due_at_ms >= given.since AND job.due_at_ms <= :now
            ORDER BY job.due_at_ms
            LIMIT given."limit"
        ) AS head
        WHERE (SELECT count(*) FROM given) > 1
        ORDER BY head.due_at_ms + given.priority * :age_step
        LIMIT :together
    ) AS heads
    GROUP BY n, project, type, priority, since
)
SELECT shares.n, head.id, head.payload_bytes, head.due_at_ms
FROM shares
CROSS JOIN LATERAL (
    SELECT job.id, job.payload_bytes, job.due_at_ms FROM jobs_admin_job AS job
    WHERE job.project_id = shares.project AND job.type = shares.type AND job.priority = shares.priority
        AND job.status = 'pending' AND job.due_at_ms >= shares.since AND job.due_at_ms <= :now
        AND (job.deadline_at_ms IS NULL OR job.deadline_at_ms > :now)
    ORDER BY job.due_at_ms
    LIMIT shares.share
    FOR UPDATE OF job SKIP LOCKED
) AS head
