-- Orders by day, apart for customers who order for the first time and who come back; cancelled orders are none.
WITH numbered AS (
    SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY created_at, id) = 1 AS is_first
    FROM orders
    WHERE status <> 'cancelled'
)
SELECT local_day(created_at) AS day, currency,
    count(*) FILTER (WHERE is_first) AS first_orders,
    count(*) FILTER (WHERE NOT is_first) AS repeat_orders,
    coalesce(sum(total) FILTER (WHERE is_first), 0) AS first_total,
    coalesce(sum(total) FILTER (WHERE NOT is_first), 0) AS repeat_total
FROM numbered
GROUP BY ALL
ORDER BY ALL
