-- Delete jobs that ended long ago.
-- Guard: a job stands where it was read, ended by :cutoff (what has not ended has no such time), and does not hold its
-- unique key for a time that goes on; so a retry of the same moment is never lost. Index: the primary key.
-- Given: id uuid
DELETE FROM jobs_admin_job AS job
USING given
WHERE job.id = given.id AND job.project_id = :project
    AND job.status = :status
    AND job.ended_at_ms <= :cutoff
    AND (NOT job.holds_key OR job.unique_until_ms IS NULL OR job.unique_until_ms <= :now)
RETURNING given.n, job.type
