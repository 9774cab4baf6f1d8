-- Which job holds a unique key.
-- Guard: none, it reads. Index: job_holds_unique_key.
SELECT id FROM jobs_admin_job
WHERE project_id = :project AND type = :type AND unique_key = :unique_key AND holds_key = 1
