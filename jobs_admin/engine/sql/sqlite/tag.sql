-- Have a job found by a tag.
-- Guard: none; the job is new. Index: the primary key (project, tag, job).
INSERT INTO jobs_admin_jobtag (project_id, tag, job_id) VALUES (:project, :tag, :id)
