-- How many jobs of a type are being processed.
-- Guard: none, it reads; in this transaction no other starts one. Index: counter_key.
SELECT coalesce(sum(count), 0) FROM jobs_admin_jobcounter
WHERE project_id = :project AND type = :type AND status = 'processing'
