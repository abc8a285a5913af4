-- Undoes the setup, but for the orders themselves.

DROP PUBLICATION IF EXISTS readmodels;
DROP SCHEMA IF EXISTS readmodels CASCADE;
REVOKE ALL ON public.orders, public.order_items FROM {role};
