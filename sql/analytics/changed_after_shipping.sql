-- What became of orders and their items after the order was first known to be shipped: every version that differs in
-- more than its time of update, and every deletion.
WITH shipped AS (
    SELECT id AS order_id, min(valid_from) AS shipped_at
    FROM orders_history
    WHERE status = 'shipped' AND (valid_to IS NULL OR valid_from < valid_to)
    GROUP BY id
),
told AS (
    SELECT 'order' AS what, id, id AS order_id, valid_from, valid_to,
        CAST(row(customer_id, status, currency, total, note, shipping_address, created_at) AS VARCHAR) AS image
    FROM orders_history
    UNION ALL
    SELECT 'item', id, order_id, valid_from, valid_to,
        CAST(row(order_id, sku, quantity, unit_price, attributes, created_at) AS VARCHAR)
    FROM order_items_history
),
followed AS (
    SELECT *, lag(image) OVER of_one_row AS image_before, lag(valid_to) OVER of_one_row AS ended_before,
        lead(valid_from) OVER of_one_row AS next_from
    FROM told
    WHERE valid_to IS NULL OR valid_from < valid_to
    WINDOW of_one_row AS (PARTITION BY what, id ORDER BY valid_from)
),
changes AS (
    SELECT order_id, what, id, valid_from AS changed_at,
        CASE WHEN ended_before = valid_from THEN 'changed' ELSE 'added' END AS change
    FROM followed
    WHERE image IS DISTINCT FROM image_before OR ended_before IS DISTINCT FROM valid_from
    UNION ALL
    SELECT order_id, what, id, valid_to, 'deleted'
    FROM followed
    WHERE valid_to IS NOT NULL AND next_from IS DISTINCT FROM valid_to
)
SELECT order_id, shipped_at, changed_at, what, id, change
FROM changes JOIN shipped USING (order_id)
WHERE changed_at > shipped_at
ORDER BY ALL
