-- What the connector may do: read the captured tables, keep its heartbeat, and mark its snapshots.

GRANT SELECT ON public.orders, public.order_items TO {role};
GRANT USAGE ON SCHEMA readmodels TO {role};
GRANT SELECT, INSERT, UPDATE ON readmodels.heartbeat TO {role};
GRANT SELECT, INSERT ON readmodels.signal TO {role};
