-- Finished runs whose test score is more than 0.05 below the validation score (higher is better):
-- overfitted to validation, or test rows of another kind.
SELECT r.experiment_id, t.name AS metric, v.value AS valid, t.value AS test,
       ROUND(v.value - t.value, 4) AS difference, t.position
FROM metrics t
JOIN metrics v ON v.run = t.run AND v.name = t.name AND v.split = 'valid'
              AND v.kind = 'run.finished'
JOIN runs r ON r.run = t.run
WHERE t.kind = 'run.finished' AND t.split = 'test' AND t.direction = 'higher'
  AND t.name NOT LIKE '%.ci\_%' ESCAPE '\'
  AND v.value - t.value > 0.05
ORDER BY difference DESC, t.position
