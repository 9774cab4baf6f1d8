-- Where there are ended jobs: projects, types and statuses, with how long the type keeps them (seconds; null: it
-- does not say).
-- Guard: none, it reads. Index: counter_key, then the types' primary key.
SELECT
    counter.project_id, counter.type, counter.status,
    CASE counter.status
        WHEN 'completed' THEN max(type.retention_completed_s)
        WHEN 'failed' THEN max(type.retention_failed_s)
        ELSE max(type.retention_cancelled_s)
    END
FROM jobs_admin_jobcounter AS counter INDEXED BY counter_key
LEFT JOIN jobs_admin_jobtype AS type ON type.project_id = counter.project_id AND type.name = counter.type
WHERE counter.status IN ('completed', 'failed', 'cancelled')
GROUP BY counter.project_id, counter.type, counter.status
HAVING sum(counter.count) > 0
