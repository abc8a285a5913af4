-- What sells: the articles in orders that are paid or shipped now, the best first.
SELECT item.sku, currency, count(DISTINCT item.order_id) AS orders, CAST(sum(item.quantity) AS BIGINT) AS quantity,
    sum(item.quantity * item.unit_price) AS revenue
FROM order_items AS item JOIN orders ON orders.id = item.order_id
WHERE status IN ('paid', 'shipped')
GROUP BY ALL
ORDER BY revenue DESC, item.sku, currency
