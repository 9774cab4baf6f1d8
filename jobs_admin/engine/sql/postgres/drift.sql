-- The counters that do not equal the number of their jobs.
-- Guard: none, it reads; one statement sees one moment, and the repair is relative. Index: job_by_type, covering.
WITH actual AS (
    SELECT project_id, type, status, count(*) AS jobs
    FROM jobs_admin_job
    GROUP BY project_id, type, status
), counted AS (
    SELECT project_id, type, status, sum(count)::bigint AS jobs
    FROM jobs_admin_jobcounter
    GROUP BY project_id, type, status
)
SELECT project_id, type, status, coalesce(counted.jobs, 0), coalesce(actual.jobs, 0)
FROM counted
FULL JOIN actual USING (project_id, type, status)
WHERE coalesce(counted.jobs, 0) <> coalesce(actual.jobs, 0)
