-- Have jobs found by their tags.
-- Guard: none; the jobs are new. Index: the primary key (project, tag, job).
-- Given: project bigint, tag text, id uuid
INSERT INTO jobs_admin_jobtag (project_id, tag, job_id) SELECT project, tag, id FROM given
