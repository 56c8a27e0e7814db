-- evhub, schema version 4: without two indexes.

-- Each client that joins or leaves paid for both, and for one of them with every
-- type.  What they served may walk the table: sums over all of it (v_stats), the
-- rows of a daemon, when it starts or ends, and whether anybody is subscribed to
-- a type that is to be deleted.  A client and its subscriptions are found by
-- their primary keys.
DROP INDEX client_daemon;
DROP INDEX subscription_type;
