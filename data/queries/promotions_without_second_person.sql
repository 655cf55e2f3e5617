-- Promotions that were approved only by the person who requested them.
SELECT promoted_position AS position, promoted, name, requested_by, approvals, run
FROM promotions
WHERE status = 'granted' AND NOT second_person
ORDER BY promoted_position
