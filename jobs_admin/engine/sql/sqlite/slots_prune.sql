-- Delete a schedule's older slots, all but so many.
-- Guard: none; what makes double firing impossible are the last ones. Index: the primary key.
DELETE FROM jobs_admin_scheduleslot WHERE schedule_id = :schedule AND slot_ms <= (
    SELECT slot_ms FROM jobs_admin_scheduleslot WHERE schedule_id = :schedule
    ORDER BY slot_ms DESC LIMIT 1 OFFSET :kept
)
