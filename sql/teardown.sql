-- Undoes the setup, but for the orders themselves. Safe to run again.

DROP PUBLICATION IF EXISTS readmodels;
DROP SCHEMA IF EXISTS readmodels CASCADE;

DO $$
BEGIN
    IF to_regclass('public.orders') IS NOT NULL AND to_regclass('public.order_items') IS NOT NULL
       AND EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {role_name}) THEN
        REVOKE ALL ON public.orders, public.order_items FROM {role};
    END IF;
END
$$;
