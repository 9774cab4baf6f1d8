-- The counters of batches that do not equal the number of their members. Of ended members they may say more than there
-- are: those that were pruned are counted on.
-- Guard: none, it reads; one statement sees one moment, and the repair is relative. Index: job_of_batch, covering.
WITH actual AS (
    SELECT batch_id, status, count(*) AS jobs
    FROM jobs_admin_job
    WHERE batch_id IS NOT NULL
    GROUP BY batch_id, status
), counted AS (
    SELECT batch_id, status, sum(count)::bigint AS jobs
    FROM jobs_admin_batchcounter
    GROUP BY batch_id, status
), differing AS (
    SELECT batch_id, status, counted.jobs AS counted, coalesce(actual.jobs, 0) AS actual
    FROM counted LEFT JOIN actual USING (batch_id, status)
    WHERE counted.jobs < coalesce(actual.jobs, 0)
        OR (counted.jobs > coalesce(actual.jobs, 0) AND status IN ('pending', 'processing'))
    UNION ALL
    SELECT batch_id, status, 0, actual.jobs
    FROM actual LEFT JOIN counted USING (batch_id, status)
    WHERE counted.jobs IS NULL
)
SELECT batch.project_id, differing.status, differing.counted, differing.actual, batch.id
FROM differing JOIN jobs_admin_batch AS batch ON batch.id = differing.batch_id
