-- Forget empty rows of counters: none say the same.
-- Guard: they are empty. Index: the primary key.
-- Given: id bigint
DELETE FROM jobs_admin_jobcounter AS counter USING given WHERE counter.id = given.id AND counter.count = 0
