-- The next rows of counters after one of them, and whether a row is empty as all others of its type are.
-- Guard: none, it reads. Index: the primary key, counter_key.
SELECT counter.id, counter.count = 0 AND NOT EXISTS (
    SELECT 1 FROM jobs_admin_jobcounter AS other
    WHERE other.project_id = counter.project_id AND other.type = counter.type AND other.count <> 0
)
FROM jobs_admin_jobcounter AS counter
WHERE counter.id > :after
ORDER BY counter.id LIMIT :limit
