-- Whether the database answers and has our tables.
-- Guard: none, it reads. Index: the primary key (project, name).
SELECT name FROM jobs_admin_jobtype WHERE project_id = 0
