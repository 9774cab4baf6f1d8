-- Delete schedules' older slots, all but so many.
-- Guard: none; what makes double firing impossible are the last ones. Index: the primary key.
-- Given: schedule bigint
DELETE FROM jobs_admin_scheduleslot AS slot
USING given
WHERE slot.schedule_id = given.schedule AND slot.slot_ms <= (
    SELECT older.slot_ms FROM jobs_admin_scheduleslot AS older WHERE older.schedule_id = given.schedule
    ORDER BY older.slot_ms DESC LIMIT 1 OFFSET :kept
)
