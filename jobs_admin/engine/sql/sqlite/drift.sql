-- The counters that do not equal the number of their jobs.
-- Guard: none, it reads; one statement sees one moment, and the repair is relative. Index: job_by_type, covering.
WITH actual AS (
    SELECT project_id, type, status, count(*) AS jobs
    FROM jobs_admin_job INDEXED BY job_by_type
    GROUP BY project_id, type, status
), counted AS (
    SELECT project_id, type, status, sum(count) AS jobs
    FROM jobs_admin_jobcounter
    GROUP BY project_id, type, status
)
SELECT project_id, type, status, counted.jobs, coalesce(actual.jobs, 0)
FROM counted LEFT JOIN actual USING (project_id, type, status)
WHERE counted.jobs <> coalesce(actual.jobs, 0)
UNION ALL
SELECT project_id, type, status, 0, actual.jobs
FROM actual LEFT JOIN counted USING (project_id, type, status)
WHERE counted.jobs IS NULL
