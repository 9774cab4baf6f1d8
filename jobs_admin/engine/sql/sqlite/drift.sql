-- The counters that do not equal the number of their jobs.
-- Guard: none, it reads; one statement sees one moment, and the repair is relative. Index: job_by_type, covering.
WITH actual AS (
    SELECT project_id, type, status, count(*) AS jobs
    FROM jobs_admin_job INDEXED BY job_by_type
    GROUP BY project_id, type, status
)
SELECT counter.project_id, counter.type, counter.status, counter.count, coalesce(actual.jobs, 0)
FROM jobs_admin_jobcounter AS counter
LEFT JOIN actual USING (project_id, type, status)
WHERE counter.count <> coalesce(actual.jobs, 0)
UNION ALL
SELECT actual.project_id, actual.type, actual.status, 0, actual.jobs
FROM actual
LEFT JOIN jobs_admin_jobcounter AS counter USING (project_id, type, status)
WHERE counter.count IS NULL
