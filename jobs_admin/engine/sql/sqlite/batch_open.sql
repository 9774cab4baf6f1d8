-- When a batch was sealed, if it was; it cannot be sealed before this transaction ends.
-- Guard: none, it reads. Index: the primary key.
SELECT sealed_at_ms FROM jobs_admin_batch WHERE id = :batch AND project_id = :project
