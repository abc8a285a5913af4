-- A shop of another team: a schema of its own, quoted and mixed-case names, types of its own, generated columns.

CREATE SCHEMA sales;
CREATE DOMAIN sales.year AS integer CHECK (VALUE BETWEEN 1900 AND 2155);
CREATE TYPE sales.rating AS ENUM ('G', 'PG');

CREATE TABLE sales.customers (
    id          uuid PRIMARY KEY,
    name        text NOT NULL,
    "gift-wrap" boolean,
    since       timestamptz DEFAULT now(),
    born        sales.year,
    grade       sales.rating DEFAULT 'G',
    tags        text[] DEFAULT '{}'
);
CREATE TABLE sales."OrderHeader" (
    id           bigint PRIMARY KEY,
    "customerId" uuid REFERENCES sales.customers,
    "Total"      numeric,
    note         varchar(10) DEFAULT NULL
);
CREATE TABLE sales."OrderLine" (
    order_id bigint REFERENCES sales."OrderHeader" ON DELETE CASCADE,
    line     integer,
    qty      integer NOT NULL,
    price    numeric(10, 2) NOT NULL,
    total    numeric(12, 2) GENERATED ALWAYS AS (qty * price) STORED,
    PRIMARY KEY (order_id, line)
);
CREATE TABLE sales."order$items" (id integer PRIMARY KEY, place point, w integer);
CREATE TABLE sales.without_key (a integer);
-- Differs from the example's table, and has nothing to do with it.
CREATE TABLE public.orders (id integer PRIMARY KEY, mine text);

INSERT INTO sales.customers (id, name, born, tags)
SELECT md5(number::text)::uuid, 'customer ' || number, 1990, '{a,b}' FROM generate_series(1, 20) AS number;
INSERT INTO sales.customers (id, name, since, grade, tags) VALUES (md5('none')::uuid, 'nothing known', NULL, NULL, NULL);
INSERT INTO sales."OrderHeader"
SELECT number, md5((number % 20 + 1)::text)::uuid, number * 1.5, 'n' FROM generate_series(1, 60) AS number;
INSERT INTO sales."OrderLine" SELECT number % 60 + 1, number / 60, number % 7, 1.25 FROM generate_series(0, 299) AS number;
INSERT INTO sales."order$items" VALUES (1, '(1,2)', 3);
INSERT INTO public.orders VALUES (1, 'mine');
