-- How many lines and pieces orders have, cancelled ones left out; the median total is one that an order has.
WITH baskets AS (
    SELECT orders.id, currency, total, count(item.id) AS lines, coalesce(sum(item.quantity), 0) AS pieces
    FROM orders LEFT JOIN order_items AS item ON item.order_id = orders.id
    WHERE status <> 'cancelled'
    GROUP BY ALL
)
SELECT currency, lines, count(*) AS orders, CAST(sum(pieces) AS BIGINT) AS pieces, sum(total) AS total,
    quantile_disc(total, 0.5) AS median_total
FROM baskets
GROUP BY ALL
ORDER BY ALL
