"""The views of `sql/analytics`, written again as queries of PostgreSQL without any code of the project.

Triggers record here the history that DuckDB reads from the log; PostgreSQL supplies the commit times.
"""

from collections.abc import Mapping

ZONE = "Europe/Berlin"

AUDIT = """
CREATE SCHEMA audit;
CREATE TABLE audit.changes (n bigserial PRIMARY KEY, what text, id bigint, xid xid8, image jsonb);

CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO audit.changes (what, id, xid, image)
    VALUES (TG_ARGV[0], coalesce(NEW.id, OLD.id), pg_current_xact_id(), to_jsonb(NEW) - 'updated_at');
    RETURN NULL;
END $$;
CREATE TRIGGER audited AFTER INSERT OR UPDATE OR DELETE ON orders
    FOR EACH ROW EXECUTE FUNCTION audit.note('order');
CREATE TRIGGER audited AFTER INSERT OR UPDATE OR DELETE ON order_items
    FOR EACH ROW EXECUTE FUNCTION audit.note('item');

-- What a row was after each transaction that changed it; a deletion leaves no image.
CREATE VIEW audit.versions AS
SELECT what, id, n, image, pg_xact_commit_timestamp(xid::xid) AS at,
    lag(image) OVER (PARTITION BY what, id ORDER BY n) AS was
FROM (SELECT DISTINCT ON (what, id, xid) * FROM audit.changes ORDER BY what, id, xid, n DESC) AS last_of_transaction;
"""

_STATUSES = """
WITH statuses AS (
    SELECT id, n, at, image->>'status' AS status
    FROM audit.versions
    WHERE what = 'order' AND image IS NOT NULL AND image->>'status' IS DISTINCT FROM was->>'status'
)
"""

QUESTIONS: Mapping[str, str] = {
    "revenue_per_day": f"""
        SELECT (created_at AT TIME ZONE '{ZONE}')::date, currency, count(*), sum(total)
        FROM orders WHERE status NOT IN ('pending', 'cancelled') GROUP BY 1, 2""",
    "orders_by_status": "SELECT status, currency, count(*), sum(total) FROM orders GROUP BY 1, 2",
    "top_skus": """
        SELECT sku, currency, count(DISTINCT o.id), sum(quantity)::bigint, sum(unit_price * quantity)
        FROM orders AS o, order_items AS i WHERE i.order_id = o.id AND status = ANY ('{paid,shipped}') GROUP BY 1, 2""",
    "basket_size": """
        SELECT currency, lines, count(*), sum(pieces)::bigint, sum(total),
            percentile_disc(0.5) WITHIN GROUP (ORDER BY total)
        FROM orders AS o, LATERAL (
            SELECT count(*) AS lines, coalesce(sum(quantity), 0) AS pieces
            FROM order_items WHERE order_id = o.id) AS basket
        WHERE status <> 'cancelled' GROUP BY 1, 2""",
    "first_and_repeat_orders": f"""
        SELECT (created_at AT TIME ZONE '{ZONE}')::date, currency, sum(first), sum(1 - first),
            sum(total * first), sum(total * (1 - first))
        FROM (
            SELECT *, CASE WHEN EXISTS (
                SELECT FROM orders AS e WHERE e.customer_id = o.customer_id AND e.status <> 'cancelled'
                    AND (e.created_at, e.id) < (o.created_at, o.id)) THEN 0 ELSE 1 END AS first
            FROM orders AS o WHERE status <> 'cancelled') AS told
        GROUP BY 1, 2""",
    "order_funnel": f"""
        {_STATUSES},
        furthest AS (
            SELECT id, max(array_position('{{pending,paid,shipped}}'::text[], status)) AS step,
                (array_agg(status ORDER BY n DESC))[1] = 'cancelled' AS is_cancelled
            FROM statuses GROUP BY id)
        SELECT step, status, (SELECT count(*) FROM furthest AS f WHERE f.step >= named.step),
            (SELECT count(*) FROM furthest AS f WHERE f.step = named.step AND is_cancelled)
        FROM unnest('{{pending,paid,shipped}}'::text[]) WITH ORDINALITY AS named (status, step)""",
    "time_between_statuses": f"""
        {_STATUSES},
        stays AS (
            SELECT a.status, b.status AS next, extract(epoch FROM b.at - a.at) AS took_s
            FROM statuses AS a, LATERAL (
                SELECT * FROM statuses WHERE id = a.id AND n > a.n ORDER BY n LIMIT 1) AS b)
        SELECT status, next, count(*), min(took_s)::float8,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY took_s * 1000000) / 1e6, max(took_s)::float8
        FROM stays GROUP BY 1, 2""",
    "changed_after_shipping": f"""
        {_STATUSES},
        shipped AS (SELECT id AS order_id, min(at) AS shipped_at FROM statuses WHERE status = 'shipped' GROUP BY id),
        changes AS (
            SELECT *, CASE WHEN what = 'order' THEN id ELSE (coalesce(image, was)->>'order_id')::bigint END AS order_id,
                CASE WHEN image IS NULL THEN 'deleted' WHEN was IS NULL THEN 'added' ELSE 'changed' END AS change
            FROM audit.versions WHERE image IS DISTINCT FROM was)
        SELECT order_id, shipped_at, at, what, id, change
        FROM changes JOIN shipped USING (order_id) WHERE at > shipped_at""",
}
"""The query of each view; columns in the view's order."""
