-- The role as which the connector reads the WAL; it owns nothing and may create nothing.
-- `{verifier}` is a SCRAM verifier computed by the client: the server never sees the password.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {role_name}) THEN
        CREATE ROLE {role};
        -- By this, `teardown` knows a role that it may drop.
        COMMENT ON ROLE {role} IS {made_by};
    END IF;
END
$$;

ALTER ROLE {role} WITH LOGIN REPLICATION PASSWORD {verifier};
