-- Add a counter.
-- Guard: none; count found none, and nobody else writes. Index: counter_key grows.
INSERT INTO jobs_admin_jobcounter (project_id, type, status, count) VALUES (:project, :type, :status, :change)
