-- What the WAL says to the connector. A truncate must be published, or emptied rows would live on.

CREATE PUBLICATION readmodels
    FOR TABLE public.orders, public.order_items, readmodels.heartbeat, readmodels.signal
    WITH (publish = 'insert, update, delete, truncate');
