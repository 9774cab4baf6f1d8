-- Move counters by what this transaction's jobs moved: a row for each change, which fold adds to the others.
-- Guard: none, rows are only added. Index: counter_key grows.
-- Given: project bigint, type text, status text, change bigint
INSERT INTO jobs_admin_jobcounter (project_id, type, status, count) SELECT project, type, status, change FROM given
