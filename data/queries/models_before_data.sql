-- Models that were promoted before any event named the digest of their run's data.
SELECT m.name, m.version, m.position AS promoted_position, f.path, f.digest
FROM models m
JOIN files f ON f.run = m.run AND f.role = 'data'
WHERE (SELECT MIN(earlier.position) FROM files earlier WHERE earlier.digest = f.digest) > m.position
UNION ALL
SELECT m.name, m.version, m.position, NULL, NULL
FROM models m
WHERE NOT EXISTS (SELECT 1 FROM files f WHERE f.run = m.run AND f.role = 'data')
ORDER BY 3
