-- evhub, schema version 4: without three indexes.

-- Each client that joins or leaves paid for all of them, and for one with every
-- type.  What they served may walk the table: sums over all of it (v_stats), the
-- rows of a daemon, when it starts or ends, whether anybody is subscribed to a
-- type that is to be deleted, and what an operator asks about a user.  A client
-- and its subscriptions are found by their primary keys.
DROP INDEX client_daemon;
DROP INDEX client_user;
DROP INDEX subscription_type;
