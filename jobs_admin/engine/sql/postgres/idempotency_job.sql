-- Which jobs calls with these keys made.
-- Guard: none, it reads. Index: the primary key (project, key).
-- Given: project bigint, key text
SELECT given.n, kept.job_id
FROM given
JOIN jobs_admin_idempotencykey AS kept ON kept.project_id = given.project AND kept.key = given.key
