# How fast it is, beside others.  Nothing here is built or run but by
#   make bench         (about 15 minutes)
#   make bench-quick   (3 minutes)
# Other servers take part if they are there: on Debian
#   apt install libnginx-mod-nchan mosquitto pushpin lighttpd nodejs npm
#   npm install --prefix DIR bun ws   and   make bench BENCH_FLAGS='--npm DIR'

BENCH_TOOLS = %D%/load %D%/pub %D%/ceiling %D%/post
EXTRA_PROGRAMS = $(BENCH_TOOLS)
EXTRA_LIBRARIES = %D%/libbench.a
CLEANFILES += $(BENCH_TOOLS) %D%/libbench.a

%C%_libbench_a_SOURCES = \
	%D%/hist.c %D%/hist.h \
	%D%/http.c %D%/http.h \
	%D%/mqtt.c %D%/mqtt.h \
	%D%/payload.c %D%/payload.h \
	%D%/proc.c %D%/proc.h \
	%D%/util.c %D%/util.h \
	%D%/ws.c %D%/ws.h

%C%_load_SOURCES = \
	%D%/child.c %D%/child.h \
	%D%/load.c %D%/load.h %D%/load_print.c %D%/load_storm.c \
	%D%/swarm.c %D%/swarm.h %D%/swarm_priv.h %D%/swarm_read.c
%C%_load_LDADD = %D%/libbench.a

%C%_pub_SOURCES = %D%/pub.c %D%/pub.h %D%/pub_sql.c %D%/pub_stream.c %D%/pub_ways.c
%C%_pub_LDADD = %D%/libbench.a $(SQLITE_LIBS)

%C%_ceiling_SOURCES = %D%/ceiling.c
%C%_ceiling_LDADD = %D%/libbench.a $(CRYPTO_LIBS)

%C%_post_SOURCES = %D%/post.c
%C%_post_LDADD = %D%/libbench.a

EXTRA_DIST += \
	%D%/run %D%/chart.py %D%/daemon.py %D%/report.py %D%/rows.py %D%/servers.py \
	%D%/peers/bun.js %D%/peers/node.js

BENCH_FLAGS =
BENCH_RUN = $(PYTEST_PYTHON) -B $(srcdir)/%D%/run --build '$(abs_top_builddir)' \
	--results '$(abs_top_srcdir)/doc/bench'

bench: all $(BENCH_TOOLS)
	$(BENCH_RUN) $(BENCH_FLAGS)
bench-quick: all $(BENCH_TOOLS)
	$(BENCH_RUN) --quick $(BENCH_FLAGS)
.PHONY: bench bench-quick
