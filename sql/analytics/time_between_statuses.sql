-- How long orders stay in a status before the next, in seconds.
-- Left out is a stay that began before the log: a snapshot does not tell since when a status stands.
WITH versions AS (
    SELECT id, status, op, valid_from, lag(status) OVER (PARTITION BY id ORDER BY valid_from) AS status_before
    FROM orders_history
    WHERE valid_to IS NULL OR valid_from < valid_to
),
stays AS (
    SELECT op, status, lead(status) OVER one_order AS next_status,
        epoch_us(lead(valid_from) OVER one_order) - epoch_us(valid_from) AS took_us
    FROM versions
    WHERE status IS DISTINCT FROM status_before
    WINDOW one_order AS (PARTITION BY id ORDER BY valid_from)
)
SELECT status AS from_status, next_status AS to_status, count(*) AS times,
    min(took_us) / 1e6 AS shortest_s, median(took_us) / 1e6 AS median_s, max(took_us) / 1e6 AS longest_s
FROM stays
WHERE next_status IS NOT NULL AND op <> 'r'
GROUP BY ALL
ORDER BY ALL
