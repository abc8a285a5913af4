-- What was sold: orders that are paid or shipped now, by the day on which they were placed.
SELECT local_day(created_at) AS day, currency, count(*) AS orders, sum(total) AS revenue
FROM orders
WHERE status IN ('paid', 'shipped')
GROUP BY ALL
ORDER BY ALL
