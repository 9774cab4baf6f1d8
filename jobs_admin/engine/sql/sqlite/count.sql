-- Move a counter by what this transaction's jobs moved.
-- Guard: none; it runs in the jobs' own transaction. Index: the primary key (project, type, status).
INSERT INTO jobs_admin_jobcounter (project_id, type, status, count)
VALUES (:project, :type, :status, :change)
ON CONFLICT (project_id, type, status) DO UPDATE SET count = count + excluded.count
