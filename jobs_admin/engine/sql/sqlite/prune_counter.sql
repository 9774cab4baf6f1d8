-- Forget an empty counter: none says the same.
-- Guard: it is empty. Index: the primary key.
DELETE FROM jobs_admin_jobcounter WHERE id = :id AND count = 0
