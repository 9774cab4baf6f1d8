-- Move a counter by what this transaction's jobs moved.
-- Guard: it is there; else count_new adds it. Index: counter_key.
UPDATE jobs_admin_jobcounter SET count = count + :change
WHERE project_id = :project AND type = :type AND status = :status
