# In the order in which they run.
MIGRATIONS = %D%/migrations/0001-initial.sql %D%/migrations/0002-tickets.sql \
	%D%/migrations/0003-permissions.sql %D%/migrations/0004-indexes.sql \
	%D%/migrations/0005-replaced-rows.sql

EXTRA_DIST += $(MIGRATIONS) %D%/embed.awk

# What an operator reads into the sqlite3 shell.
sqldir = $(pkgdatadir)/sql
dist_sql_DATA = \
	%D%/add-key.sql \
	%D%/add-token.sql \
	%D%/add-type.sql \
	%D%/disconnect.sql \
	%D%/publish.sql \
	%D%/purge.sql \
	%D%/revoke.sql \
	%D%/show-clients.sql \
	%D%/show-credentials.sql \
	%D%/show-stats.sql \
	%D%/subscribe.sql \
	%D%/unsubscribe.sql
