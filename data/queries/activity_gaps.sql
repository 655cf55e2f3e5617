-- Gaps of more than a week between two invocations: nothing was done, or it was not recorded.
SELECT position, started, previous,
       ROUND(julianday(substr(started, 1, 19)) - julianday(substr(previous, 1, 19)), 1) AS days
FROM (SELECT position, started, LAG(started) OVER (ORDER BY position) AS previous FROM invocations)
WHERE days > 7
ORDER BY position
