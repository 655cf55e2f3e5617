-- Models in production that were promoted under a policy that differs from today's: each rule
-- with another value now.
WITH newest AS (SELECT MAX(revision) AS revision FROM policies)
SELECT m.name, m.version, m.policy_revision, newest.revision AS newest_revision,
       then_.rule, then_.value AS value_then, now_.value AS value_now, m.position
FROM models m
JOIN newest ON newest.revision > m.policy_revision
JOIN policies then_ ON then_.revision = m.policy_revision
JOIN policies now_ ON now_.revision = newest.revision AND now_.rule = then_.rule
WHERE m.in_production AND now_.value <> then_.value
  AND then_.rule LIKE 'production_promotion.%'
ORDER BY m.position, then_.rule
