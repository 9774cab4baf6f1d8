-- The next type, by name, that has pending jobs: a skip-scan, one seek a type.
-- (Not together with the priority: SQLite seeks (a, b) > (?, ?) to the first equal row and reads all of them.)
-- Guard: none, it reads. Index: job_lease_order, covering.
SELECT type
FROM jobs_admin_job INDEXED BY job_lease_order
WHERE project_id = :project AND status = 'pending' AND type > :type
ORDER BY type
LIMIT 1
