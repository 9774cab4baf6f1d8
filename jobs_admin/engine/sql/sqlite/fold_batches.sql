-- Make one row of each batch counter's rows: on SQLite there is one.
-- Guard: more than one row. Index: none is used, nothing is found.
DELETE FROM jobs_admin_batchcounter WHERE 0
