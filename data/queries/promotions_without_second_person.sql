-- Promotions that nobody but the person who asked for them approved.
SELECT promoted_position AS position, promoted, name, requested_by, approvals, run
FROM promotions
WHERE status = 'granted' AND NOT second_person
ORDER BY promoted_position
