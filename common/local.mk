noinst_LIBRARIES += %D%/libevhub-common.a

%C%_libevhub_common_a_SOURCES = \
	%D%/api_error.c %D%/api_error.h \
	%D%/auth.c %D%/auth.h \
	%D%/buf.c %D%/buf.h \
	%D%/clock.c %D%/clock.h \
	%D%/check.c %D%/check.h %D%/check_db.c \
	%D%/conf.c %D%/conf.h \
	%D%/conf_args.c %D%/conf_test.c \
	%D%/conf_file.c %D%/conf_names.c %D%/conf_priv.h \
	%D%/conf_scan.c %D%/conf_scan.h \
	%D%/conf_table.c %D%/conf_table.h \
	%D%/db.c %D%/db.h \
	%D%/event.c %D%/event.h \
	%D%/event_types.c %D%/event_types.h \
	%D%/ids.c %D%/ids.h \
	%D%/json.c %D%/json.h \
	%D%/json_text.c %D%/json_text.h \
	%D%/jwt_claims.c %D%/jwt_claims.h \
	%D%/jwt_key.c %D%/jwt_key.h \
	%D%/log.c %D%/log.h \
	%D%/log_format.c %D%/log_format.h \
	%D%/log_repeat.c %D%/log_repeat.h \
	%D%/migrations.h \
	%D%/origin.c %D%/origin.h \
	%D%/problems.c %D%/problems.h \
	%D%/rc.c %D%/rc.h \
	%D%/ticket.c %D%/ticket.h \
	%D%/verifier.c %D%/verifier.h
nodist_%C%_libevhub_common_a_SOURCES = %D%/migrations.c

BUILT_SOURCES += %D%/migrations.c
CLEANFILES += %D%/migrations.c

%D%/migrations.c: $(MIGRATIONS) $(top_srcdir)/sql/embed.awk
	$(AM_V_GEN)$(MKDIR_P) %D% && for f in $(MIGRATIONS); do \
		test -f $$f && echo $$f || echo $(srcdir)/$$f; done | \
		xargs $(AWK) -f $(top_srcdir)/sql/embed.awk > $@.tmp && mv $@.tmp $@
