-- How many jobs of types are being processed.
-- Guard: none, it reads; type_lock lets no other transaction start one. Index: counter_key.
-- Given: project bigint, type text
SELECT given.n, counted.jobs
FROM given
CROSS JOIN LATERAL (
    SELECT coalesce(sum(counter.count), 0)::bigint AS jobs FROM jobs_admin_jobcounter AS counter
    WHERE counter.project_id = given.project AND counter.type = given.type AND counter.status = 'processing'
) AS counted
