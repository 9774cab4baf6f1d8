-- Have leases look for jobs of these types and priorities.
-- Guard: they are not there yet. Index: the primary key (project, type, priority).
-- Given: project bigint, type text, priority smallint
INSERT INTO jobs_admin_joblane (project_id, type, priority) SELECT project, type, priority FROM given
ON CONFLICT DO NOTHING
