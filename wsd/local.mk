sbin_PROGRAMS += %D%/evhub-wsd
noinst_LIBRARIES += %D%/libevhub-wsd.a

# Everything but main(), so that tests can link it.
%C%_libevhub_wsd_a_SOURCES = \
	%D%/catalog.c %D%/catalog.h \
	%D%/check.c %D%/check.h \
	%D%/checkpoint.c %D%/checkpoint.h \
	%D%/chunks.c %D%/chunks.h \
	%D%/client.c %D%/client.h \
	%D%/close_code.c %D%/close_code.h \
	%D%/conn.c %D%/conn.h \
	%D%/control.c %D%/control.h %D%/control_ops.c %D%/control_priv.h \
	%D%/control_request.c %D%/control_request.h \
	%D%/control_users.c %D%/control_users.h \
	%D%/daemon.c %D%/daemon.h \
	%D%/deliver.c %D%/hub.c %D%/hub.h %D%/hub_priv.h \
	%D%/eventlog.c %D%/eventlog.h \
	%D%/exposition.c %D%/exposition.h \
	%D%/exposure.c %D%/exposure.h \
	%D%/feed.c %D%/feed.h \
	%D%/frame.c %D%/frame.h \
	%D%/gate.c %D%/gate.h \
	%D%/gauges.c %D%/gauges.h \
	%D%/group.c %D%/group.h \
	%D%/handshake.c %D%/handshake.h \
	%D%/headcount.c %D%/headcount.h \
	%D%/histogram.c %D%/histogram.h \
	%D%/hash.h \
	%D%/handover.c %D%/handover.h \
	%D%/history.c %D%/history.h \
	%D%/http_head.c %D%/http_head.h \
	%D%/http_request.c %D%/http_request.h \
	%D%/hub_gauges.c \
	%D%/identify.c %D%/identify.h \
	%D%/inbound.c %D%/inbound.h \
	%D%/instance.c %D%/instance.h \
	%D%/lineage.c %D%/lineage.h \
	%D%/listener.c %D%/listener.h \
	%D%/loop.c %D%/loop.h %D%/loop_fd.c %D%/loop_fd.h \
	%D%/metrics.c %D%/metrics.h \
	%D%/notify.c %D%/notify.h \
	%D%/narrow.c %D%/narrow.h \
	%D%/place.c %D%/place.h \
	%D%/pace.c %D%/pace.h \
	%D%/reload.c %D%/reload.h \
	%D%/remote_addr.c %D%/remote_addr.h \
	%D%/server.c %D%/server.h \
	%D%/admission.c %D%/changes.c %D%/keepalive.c %D%/session.c %D%/session.h %D%/session_priv.h \
	%D%/store.c %D%/store.h %D%/store_sql.c %D%/store_sql.h \
	%D%/tally.c %D%/tally.h \
	%D%/subprotocols.c %D%/subprotocols.h \
	%D%/tcp.c %D%/tcp.h \
	%D%/tickets.c %D%/tickets.h \
	%D%/tls.c %D%/tls.h \
	%D%/watch.c %D%/watch.h \
	%D%/wheel.c %D%/wheel.h
%C%_libevhub_wsd_a_CPPFLAGS = $(AM_CPPFLAGS) $(LWS_CFLAGS) $(UV_CFLAGS)

%C%_evhub_wsd_SOURCES = %D%/main.c
%C%_evhub_wsd_LDADD = %D%/libevhub-wsd.a $(COMMON_LIBS) $(LWS_LIBS) $(UV_LIBS) $(SSL_LIBS) -lev
