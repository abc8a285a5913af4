-- How far orders came: how many reached each step or one beyond it, and how many of those were cancelled there.
-- An order counts once, also after it was deleted.
WITH steps AS (
    SELECT * FROM (VALUES (1, 'pending'), (2, 'paid'), (3, 'shipped')) AS named (step, status)
),
furthest AS (
    SELECT history.id, max(step) AS step, arg_max(history.status, valid_from) = 'cancelled' AS is_cancelled
    FROM orders_history AS history LEFT JOIN steps USING (status)
    WHERE valid_to IS NULL OR valid_from < valid_to
    GROUP BY history.id
)
SELECT steps.step, steps.status, count(furthest.id) AS reached,
    count(furthest.id) FILTER (WHERE is_cancelled AND furthest.step = steps.step) AS cancelled
FROM steps LEFT JOIN furthest ON furthest.step >= steps.step
GROUP BY ALL
ORDER BY steps.step
