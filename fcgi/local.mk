noinst_LIBRARIES += %D%/libevhub-fcgi.a
sbin_PROGRAMS += %D%/evhub-fcgi

%C%_libevhub_fcgi_a_SOURCES = \
	%D%/arrivals.c %D%/arrivals.h \
	%D%/auth_gate.c %D%/auth_gate.h \
	%D%/cgi.c %D%/cgi.h \
	%D%/check.c %D%/check.h \
	%D%/clients.c \
	%D%/context.c %D%/context.h \
	%D%/counts.c %D%/counts.h \
	%D%/daemon_link.c %D%/daemon_link.h \
	%D%/daemons.c %D%/daemons.h \
	%D%/endpoints.h \
	%D%/event_types.c \
	%D%/events.c \
	%D%/health.c \
	%D%/keys.c %D%/keys.h \
	%D%/listener.c %D%/listener.h \
	%D%/live.c %D%/live.h \
	%D%/membership.c %D%/membership.h \
	%D%/merge.c %D%/merge.h \
	%D%/metrics.c \
	%D%/publish.c %D%/publish.h \
	%D%/records.c %D%/records.h \
	%D%/request.c %D%/request.h \
	%D%/response.c %D%/response.h \
	%D%/routes.c %D%/routes.h \
	%D%/service.c %D%/service.h \
	%D%/stats.c \
	%D%/subscriptions.c \
	%D%/tries.c %D%/tries.h \
	%D%/ticket.c \
	%D%/unsubscribe.c \
	%D%/writer.c %D%/writer.h

%C%_evhub_fcgi_SOURCES = %D%/main.c
%C%_evhub_fcgi_LDADD = %D%/libevhub-fcgi.a $(COMMON_LIBS) $(FCGI_LIBS)

# Its unit tests; UNIT_CFLAGS and UNIT_LIBS are those of tests/unit/.
FCGI_UNIT_TESTS = tests/unit/test_fcgi_daemon_link tests/unit/test_fcgi_request
check_PROGRAMS += $(FCGI_UNIT_TESTS)
TESTS += $(FCGI_UNIT_TESTS)

tests_unit_test_fcgi_daemon_link_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_fcgi_daemon_link_LDADD = %D%/libevhub-fcgi.a $(UNIT_LIBS)
tests_unit_test_fcgi_request_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_fcgi_request_LDADD = %D%/libevhub-fcgi.a $(UNIT_LIBS)
