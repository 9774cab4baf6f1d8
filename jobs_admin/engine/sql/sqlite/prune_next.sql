-- The next ended jobs of a type and status that were created before an instant (ids follow time), whether each ended
-- by :cutoff and holds no unique key any more, and how many rows go with it, about.
-- Guard: none, it reads; prune checks again. Index: job_by_type.
SELECT
    job.id,
    job.ended_at_ms <= :cutoff
        AND (job.holds_key = 0 OR job.unique_until_ms IS NULL OR job.unique_until_ms <= :now),
    job.run + coalesce(progress.log_lines, 0)
FROM jobs_admin_job AS job INDEXED BY job_by_type
LEFT JOIN jobs_admin_jobprogress AS progress ON progress.job_id = job.id
WHERE job.project_id = :project AND job.type = :type AND job.status = :status AND job.id > :after AND job.id < :before
ORDER BY job.id
LIMIT :limit
