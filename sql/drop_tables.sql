-- Removes the orders, with everything in them.

DROP TABLE IF EXISTS public.orders, public.order_items;
