-- Where all orders stand now.
SELECT status, currency, count(*) AS orders, sum(total) AS total
FROM orders
GROUP BY ALL
ORDER BY ALL
