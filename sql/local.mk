# In the order in which they run.
MIGRATIONS = %D%/migrations/0001-initial.sql

EXTRA_DIST += $(MIGRATIONS) %D%/embed.awk
