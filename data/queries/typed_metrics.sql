-- Values that a person typed in, or that were recorded after the run had ended.
SELECT m.position, m.recorded, r.experiment_id, m.name, m.split, m.value
FROM metrics m
JOIN runs r ON r.run = m.run
WHERE m.provenance = 'typed'
ORDER BY m.position
