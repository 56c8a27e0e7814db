# One program for each module; they run in parallel, each in a directory of its own.

check_LIBRARIES = %D%/libunit.a
%C%_libunit_a_SOURCES = %D%/unit.c %D%/unit.h
%C%_libunit_a_CFLAGS = $(UNIT_CFLAGS)

UNIT_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
UNIT_LIBS = %D%/libunit.a $(COMMON_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS = \
	%D%/test_api_error \
	%D%/test_auth \
	%D%/test_buf \
	%D%/test_clock \
	%D%/test_conf \
	%D%/test_db \
	%D%/test_event \
	%D%/test_event_types \
	%D%/test_ids \
	%D%/test_json \
	%D%/test_jwt_claims \
	%D%/test_limiter \
	%D%/test_log \
	%D%/test_address \
	%D%/test_man \
	%D%/test_origin \
	%D%/test_schema \
	%D%/test_sql_scripts \
	%D%/test_ticket

check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)

%C%_test_api_error_CFLAGS = $(UNIT_CFLAGS)
%C%_test_api_error_LDADD = $(UNIT_LIBS)
%C%_test_auth_CFLAGS = $(UNIT_CFLAGS)
%C%_test_auth_LDADD = $(UNIT_LIBS)
%C%_test_buf_CFLAGS = $(UNIT_CFLAGS)
%C%_test_buf_LDADD = $(UNIT_LIBS)
%C%_test_clock_CFLAGS = $(UNIT_CFLAGS)
%C%_test_clock_LDADD = $(UNIT_LIBS)
%C%_test_conf_CFLAGS = $(UNIT_CFLAGS)
%C%_test_conf_LDADD = $(UNIT_LIBS)
%C%_test_db_CFLAGS = $(UNIT_CFLAGS)
%C%_test_db_LDADD = $(UNIT_LIBS)
%C%_test_event_CFLAGS = $(UNIT_CFLAGS)
%C%_test_event_LDADD = $(UNIT_LIBS)
%C%_test_event_types_CFLAGS = $(UNIT_CFLAGS)
%C%_test_event_types_LDADD = $(UNIT_LIBS)
%C%_test_ids_CFLAGS = $(UNIT_CFLAGS)
%C%_test_ids_LDADD = $(UNIT_LIBS)
%C%_test_json_CFLAGS = $(UNIT_CFLAGS)
%C%_test_json_LDADD = $(UNIT_LIBS)
%C%_test_jwt_claims_CFLAGS = $(UNIT_CFLAGS)
%C%_test_jwt_claims_LDADD = $(UNIT_LIBS)
%C%_test_limiter_CFLAGS = $(UNIT_CFLAGS)
%C%_test_limiter_LDADD = $(UNIT_LIBS)
%C%_test_address_CFLAGS = $(UNIT_CFLAGS)
%C%_test_address_LDADD = $(UNIT_LIBS)
%C%_test_log_CFLAGS = $(UNIT_CFLAGS)
%C%_test_log_LDADD = $(UNIT_LIBS)
%C%_test_man_CFLAGS = $(UNIT_CFLAGS)
%C%_test_man_LDADD = $(UNIT_LIBS)
%C%_test_origin_CFLAGS = $(UNIT_CFLAGS)
%C%_test_origin_LDADD = $(UNIT_LIBS)
%C%_test_schema_CFLAGS = $(UNIT_CFLAGS)
%C%_test_schema_LDADD = $(UNIT_LIBS)
%C%_test_sql_scripts_CFLAGS = $(UNIT_CFLAGS)
%C%_test_sql_scripts_LDADD = $(UNIT_LIBS)
%C%_test_ticket_CFLAGS = $(UNIT_CFLAGS)
%C%_test_ticket_LDADD = $(UNIT_LIBS)

# Of evhub-wsd.
WSD_TESTS = \
	%D%/test_hub \
	%D%/test_loop_fd \
	%D%/test_metrics \
	%D%/test_nomem \
	%D%/test_handshake \
	%D%/test_headcount \
	%D%/test_http_request \
	%D%/test_subprotocols \
	%D%/test_wsd_parts
WSD_UNIT_LIBS = wsd/libevhub-wsd.a $(UNIT_LIBS) $(LWS_LIBS) $(UV_LIBS) $(SSL_LIBS) -lev

check_PROGRAMS += $(WSD_TESTS)
TESTS += $(WSD_TESTS)

%C%_test_hub_CFLAGS = $(UNIT_CFLAGS)
%C%_test_hub_LDADD = $(WSD_UNIT_LIBS)
%C%_test_metrics_CFLAGS = $(UNIT_CFLAGS)
%C%_test_metrics_LDADD = fcgi/libevhub-fcgi.a $(WSD_UNIT_LIBS)
%C%_test_loop_fd_CFLAGS = $(UNIT_CFLAGS)
%C%_test_loop_fd_LDADD = $(WSD_UNIT_LIBS)
%C%_test_handshake_CFLAGS = $(UNIT_CFLAGS)
%C%_test_handshake_LDADD = $(WSD_UNIT_LIBS)
%C%_test_headcount_CFLAGS = $(UNIT_CFLAGS)
%C%_test_headcount_LDADD = $(WSD_UNIT_LIBS)
%C%_test_http_request_CFLAGS = $(UNIT_CFLAGS)
%C%_test_http_request_LDADD = $(WSD_UNIT_LIBS)
%C%_test_subprotocols_CFLAGS = $(UNIT_CFLAGS)
%C%_test_subprotocols_LDADD = $(WSD_UNIT_LIBS)
%C%_test_nomem_CFLAGS = $(UNIT_CFLAGS)
%C%_test_nomem_LDADD = fcgi/libevhub-fcgi.a $(WSD_UNIT_LIBS)
%C%_test_wsd_parts_CFLAGS = $(UNIT_CFLAGS)
%C%_test_wsd_parts_LDADD = $(WSD_UNIT_LIBS)
