# Fuzzing.  Each fuzz_NAME.c is a harness, corpus/NAME its inputs, NAME.dict
# (where there is one) its words.  In every build its corpus is replayed by
# "make check"; with --enable-fuzzers "make check-fuzz FUZZ_SECONDS=60" makes
# up new inputs.
FUZZ_COMMON = json names conf jwt
FUZZ_WSD = address control frame handover handshake http inbound
FUZZ_FCGI = endpoints request
FUZZ_NAMES = $(FUZZ_COMMON) $(FUZZ_WSD) $(FUZZ_FCGI)
FUZZ_SECONDS = 60
FUZZ_JOBS = 2

FUZZ_SUPPORT = %D%/fuzz.c %D%/fuzz.h
FUZZ_WSD_LIBS = wsd/libevhub-wsd.a $(COMMON_LIBS) $(LWS_LIBS) $(UV_LIBS) $(SSL_LIBS) -lev
FUZZ_FCGI_LIBS = fcgi/libevhub-fcgi.a $(COMMON_LIBS)

FUZZ_REPLAYS = \
	%D%/replay_address \
	%D%/replay_conf \
	%D%/replay_control \
	%D%/replay_endpoints \
	%D%/replay_frame \
	%D%/replay_handover \
	%D%/replay_handshake \
	%D%/replay_http \
	%D%/replay_inbound \
	%D%/replay_json \
	%D%/replay_jwt \
	%D%/replay_names \
	%D%/replay_request
check_PROGRAMS += $(FUZZ_REPLAYS)
TESTS += $(FUZZ_REPLAYS)

%C%_replay_address_SOURCES = %D%/fuzz_address.c %D%/replay.c $(FUZZ_SUPPORT)
%C%_replay_address_LDADD = $(FUZZ_WSD_LIBS)
%C%_replay_conf_SOURCES = %D%/fuzz_conf.c %D%/replay.c $(FUZZ_SUPPORT)
%C%_replay_conf_LDADD = $(COMMON_LIBS)
%C%_replay_control_SOURCES = %D%/fuzz_control.c %D%/replay.c $(FUZZ_SUPPORT)
%C%_replay_control_LDADD = $(FUZZ_WSD_LIBS)
%C%_replay_endpoints_SOURCES = %D%/fuzz_endpoints.c %D%/replay.c $(FUZZ_SUPPORT)
%C%_replay_endpoints_LDADD = $(FUZZ_FCGI_LIBS)
%C%_replay_frame_SOURCES = %D%/fuzz_frame.c %D%/replay.c $(FUZZ_SUPPORT)
%C%_replay_frame_LDADD = $(FUZZ_WSD_LIBS)
%C%_replay_handover_SOURCES = %D%/fuzz_handover.c %D%/replay.c $(FUZZ_SUPPORT)
%C%_replay_handover_LDADD = $(FUZZ_WSD_LIBS)
%C%_replay_handshake_SOURCES = %D%/fuzz_handshake.c %D%/replay.c $(FUZZ_SUPPORT)
%C%_replay_handshake_LDADD = $(FUZZ_WSD_LIBS)
%C%_replay_http_SOURCES = %D%/fuzz_http.c %D%/replay.c $(FUZZ_SUPPORT)
%C%_replay_http_LDADD = $(FUZZ_WSD_LIBS)
%C%_replay_inbound_SOURCES = %D%/fuzz_inbound.c %D%/replay.c $(FUZZ_SUPPORT)
%C%_replay_inbound_LDADD = $(FUZZ_WSD_LIBS)
%C%_replay_json_SOURCES = %D%/fuzz_json.c %D%/replay.c $(FUZZ_SUPPORT)
%C%_replay_json_LDADD = $(COMMON_LIBS)
%C%_replay_jwt_SOURCES = %D%/fuzz_jwt.c %D%/replay.c $(FUZZ_SUPPORT)
%C%_replay_jwt_LDADD = $(COMMON_LIBS)
%C%_replay_names_SOURCES = %D%/fuzz_names.c %D%/replay.c $(FUZZ_SUPPORT)
%C%_replay_names_LDADD = $(COMMON_LIBS)
%C%_replay_request_SOURCES = %D%/fuzz_request.c %D%/replay.c $(FUZZ_SUPPORT)
%C%_replay_request_LDADD = $(FUZZ_FCGI_LIBS)

if FUZZERS
# Made by a rule of its own, for they are never part of what is built or
# installed; the libraries have been compiled for it by configure's switch.
check-fuzz: $(FUZZ_REPLAYS)
	@$(MKDIR_P) %D%
	@for name in $(FUZZ_NAMES); do \
		case " $(FUZZ_COMMON) " in *" $$name "*) libs='$(COMMON_LIBS)' ;; *) \
		case " $(FUZZ_WSD) " in *" $$name "*) libs='$(FUZZ_WSD_LIBS)' ;; *) libs='$(FUZZ_FCGI_LIBS)' ;; esac ;; esac; \
		$(CC) $(DEFS) $(AM_CPPFLAGS) $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) $(AM_LDFLAGS) $(LDFLAGS) \
			-fsanitize=fuzzer -o %D%/fuzz_$$name $(srcdir)/%D%/fuzz_$$name.c $(srcdir)/%D%/fuzz.c $$libs || exit 1; \
	done
	$(srcdir)/%D%/run --seconds $(FUZZ_SECONDS) --jobs $(FUZZ_JOBS) --source $(srcdir)/%D% --build %D% $(FUZZ_NAMES)

install-exec-local:
	@echo 'This is a build for fuzzing, not one to install: configure without --enable-fuzzers.' >&2; exit 1
else
check-fuzz:
	@echo 'Configure with --enable-fuzzers CC=clang first (Debian: clang and libclang-rt-14-dev).' >&2; exit 1
endif
.PHONY: check-fuzz

clean-local: clean-fuzz
clean-fuzz:
	rm -rf %D%/found
	rm -f $(FUZZ_NAMES:%=%D%/fuzz_%)
.PHONY: clean-fuzz

EXTRA_DIST += %D%/run %D%/corpus $(FUZZ_DICTIONARIES)
FUZZ_DICTIONARIES = \
	%D%/conf.dict \
	%D%/control.dict \
	%D%/handover.dict \
	%D%/handshake.dict \
	%D%/http.dict \
	%D%/json.dict \
	%D%/jwt.dict \
	%D%/request.dict
