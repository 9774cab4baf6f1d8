-- Have leases look for jobs of this type and priority.
-- Guard: it is not there yet. Index: the primary key (project, type, priority).
INSERT INTO jobs_admin_joblane (project_id, type, priority) VALUES (:project, :type, :priority)
ON CONFLICT DO NOTHING
