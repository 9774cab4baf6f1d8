-- Have no other transaction start jobs of this type until this one ends: on SQLite there is no other.
-- Guard: none, it reads. Index: the primary key (project, name).
SELECT 1 FROM jobs_admin_jobtype WHERE project_id = :project AND name = :type
