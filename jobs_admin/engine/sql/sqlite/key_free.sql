-- Take the unique key from a job that held it for a time that is over.
-- Guard: it holds the key, and no longer than until now. Index: job_holds_unique_key.
UPDATE jobs_admin_job
SET holds_key = 0
WHERE project_id = :project AND type = :type AND unique_key = :unique_key AND holds_key = 1
    AND unique_until_ms <= :now
RETURNING 1
