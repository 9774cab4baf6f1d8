-- How many types a project has: those with lanes, and those with settings only.
-- Guard: none, it reads. Index: the primary keys (project, type, priority) and (project, name).
SELECT count(DISTINCT lane.type) + (
    SELECT count(*) FROM jobs_admin_jobtype AS type
    WHERE type.project_id = :project AND NOT EXISTS (
        SELECT 1 FROM jobs_admin_joblane AS other WHERE other.project_id = :project AND other.type = type.name
    )
)
FROM jobs_admin_joblane AS lane
WHERE lane.project_id = :project
