-- Make one row of each counter's rows: on SQLite there is one.
-- Guard: more than one row. Index: none is used, nothing is found.
DELETE FROM jobs_admin_jobcounter WHERE 0
