-- Runs once, in an empty data folder: the shop's database and the schema registry's, each with an owner of its own.
\set ON_ERROR_STOP on
\getenv orders_password ORDERS_PASSWORD
\getenv registry_password REGISTRY_PASSWORD

CREATE ROLE orders LOGIN PASSWORD :'orders_password';
CREATE DATABASE orders_db OWNER orders ENCODING 'UTF8' TEMPLATE template0;

CREATE ROLE registry LOGIN PASSWORD :'registry_password';
CREATE DATABASE registry OWNER registry ENCODING 'UTF8' TEMPLATE template0;
