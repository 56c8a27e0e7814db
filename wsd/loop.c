#include "wsd/loop.h"

#include "common/clock.h"
#include "common/log.h"
#include "wsd/loop_fd.h"

#include <ev.h>
#include <fcntl.h>
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

/* How long connections are served before what else is ready has a turn, µs.
 * A turn of the library's loop takes whatever is ready, however much. */
#define BREATH_US 2000

/* With libuv and libev the loop is ours and lent to the library, whose own
 * would not return from lws_service. */
struct loop {
	struct lws_context *context;
	struct loop_fds *fds;
	enum conf_event_loop kind;
	unsigned max_fds;
	uv_loop_t uv;
	uv_prepare_t uv_prepare;
	struct ev_loop *ev;
	ev_prepare ev_prepare;
	bool stopping;
	bool in_timer;
	int64_t turn_began; /* when the first connection was served; 0: none was yet */
	void (*before_sleep)(void *arg);
	void *before_sleep_arg;
};

struct loop_timer {
	lws_sorted_usec_list_t sul;
	struct loop *loop;
	void (*fire)(void *arg);
	void *arg;
};

static int
on_fds(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct loop *l = lws_get_opaque_user_data(wsi);

	(void)user;
	(void)in;
	(void)len;
	if (reason == LWS_CALLBACK_RAW_RX_FILE && l != NULL)
		loop_fds_dispatch(l->fds, true);
	return 0;
}

static const struct lws_protocols fd_protocols[] = {
	{ "evhub-fd", on_fds, 0, 0, 0, NULL, 0 },
	{ NULL, NULL, 0, 0, 0, NULL, 0 },
};

static void
on_library_log(int level, const char *line)
{
	size_t len = strlen(line);

	if (strstr(line, "calling service") != NULL)
		return; /* not an error: it says so of each connection that it is given with its request
			 */
	while (len > 0 && line[len - 1] == '\n')
		len--;
	log_debug("libwebsockets", "lws_level=%d text=\"%.*s\"", level, (int)len, line);
}

static void
turn_ends(struct loop *l)
{
	l->turn_began = 0;
	if (l->before_sleep != NULL)
		l->before_sleep(l->before_sleep_arg);
}

static void
on_uv_prepare(uv_prepare_t *prepare)
{
	turn_ends(prepare->data);
}

static void
on_ev_prepare(struct ev_loop *ev, ev_prepare *prepare, int events)
{
	(void)ev;
	(void)events;
	turn_ends(prepare->data);
}

/* Makes the loop that is lent; NULL for poll, where there is none. */
static void *
lend(struct loop *l)
{
	switch (l->kind) {
	case CONF_LOOP_UV:
		if (uv_loop_init(&l->uv) != 0)
			return NULL;
		(void)uv_prepare_init(&l->uv, &l->uv_prepare);
		l->uv_prepare.data = l;
		(void)uv_prepare_start(&l->uv_prepare, on_uv_prepare);
		return &l->uv;
	case CONF_LOOP_EV:
		l->ev = ev_loop_new(0);
		ev_prepare_init(&l->ev_prepare, on_ev_prepare);
		l->ev_prepare.data = l;
		if (l->ev != NULL)
			ev_prepare_start(l->ev, &l->ev_prepare);
		return l->ev;
	case CONF_LOOP_AUTO: /* has been decided */
	case CONF_LOOP_POLL:
		break;
	}
	return NULL;
}

static void
take_back(struct loop *l)
{
	switch (l->kind) {
	case CONF_LOOP_UV:
		uv_close((uv_handle_t *)&l->uv_prepare, NULL);
		(void)uv_run(&l->uv, UV_RUN_DEFAULT);
		(void)uv_loop_close(&l->uv);
		break;
	case CONF_LOOP_EV:
		ev_prepare_stop(l->ev, &l->ev_prepare);
		ev_loop_destroy(l->ev);
		break;
	case CONF_LOOP_AUTO:
	case CONF_LOOP_POLL:
		break;
	}
}

static enum evh_rc
create(struct loop *l, unsigned fds, int64_t handshake_ms)
{
	struct lws_context_creation_info info;
	void *lent = lend(l);

	if (lent == NULL && l->kind != CONF_LOOP_POLL)
		return EVH_NOMEM;
	memset(&info, 0, sizeof(info));
	info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME |
		LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
	if (l->kind == CONF_LOOP_UV)
		info.options |= LWS_SERVER_OPTION_LIBUV;
	else if (l->kind == CONF_LOOP_EV)
		info.options |= LWS_SERVER_OPTION_LIBEV;
	if (lent != NULL)
		info.foreign_loops = &lent;
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.fd_limit_per_thread = fds;
	info.max_http_header_data2 = LOOP_HEADER_BYTES;
	info.max_http_header_pool2 = fds;
	info.timeout_secs = (unsigned)((handshake_ms + 999) / 1000);
	info.gid = -1;
	info.uid = -1;
	l->context = lws_create_context(&info);
	if (l->context != NULL)
		return EVH_OK;
	if (lent != NULL)
		take_back(l);
	return EVH_NOT_FOUND;
}

/* libev before libuv, which asks the kernel five times about each connection
 * where libev asks once. */
static enum evh_rc
create_best(struct loop *l, unsigned fds, int64_t handshake_ms)
{
	static const enum conf_event_loop kinds[] = { CONF_LOOP_EV, CONF_LOOP_UV, CONF_LOOP_POLL };
	enum evh_rc rc = EVH_NOT_FOUND;

	for (size_t i = 0; rc != EVH_OK && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		l->kind = kinds[i];
		rc = create(l, fds, handshake_ms);
	}
	if (rc == EVH_OK && l->kind == CONF_LOOP_POLL)
		log_warn("no_event_library",
			"effect=\"poll(2) is used\" install=\"libwebsockets-evlib-ev or libwebsockets-evlib-uv\"");
	return rc;
}

/* Gives the library the one descriptor that stands for all that are watched. */
static bool
watch_fds(struct loop *l)
{
	struct lws_context_creation_info info;
	struct lws_vhost *vhost;
	struct lws *wsi;
	lws_sock_file_fd_type desc;

	l->fds = loop_fds_new();
	if (l->fds == NULL)
		return false;
	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.vhost_name = "evhub-fd";
	info.protocols = fd_protocols;
	vhost = lws_create_vhost(l->context, &info);
	desc.filefd = vhost != NULL ? fcntl(loop_fds_epoll(l->fds), F_DUPFD_CLOEXEC, 3) : -1;
	if (desc.filefd < 0)
		return false;
	/* on failure the library closes it */
	wsi = lws_adopt_descriptor_vhost(
		vhost, LWS_ADOPT_RAW_FILE_DESC, desc, fd_protocols[0].name, NULL);
	if (wsi == NULL)
		return false;
	lws_set_opaque_user_data(wsi, l);
	return true;
}

enum evh_rc
loop_new(struct loop **out, enum conf_event_loop kind, unsigned fds, int64_t handshake_ms)
{
	struct loop *l = calloc(1, sizeof(*l));
	enum evh_rc rc;

	*out = NULL;
	if (l == NULL)
		return EVH_NOMEM;
	lws_set_log_level(LLL_ERR | LLL_WARN, on_library_log);
	l->kind = kind;
	l->max_fds = fds;
	rc = kind == CONF_LOOP_AUTO ? create_best(l, fds, handshake_ms) : create(l, fds, handshake_ms);
	if (rc != EVH_OK) {
		free(l);
		return rc;
	}
	if (!watch_fds(l)) {
		loop_free(&l);
		return EVH_NOMEM;
	}
	*out = l;
	return EVH_OK;
}

int
loop_max_fds(const struct loop *l)
{
	return (int)l->max_fds;
}

int
loop_known_names(void)
{
	return WSI_TOKEN_COUNT;
}

const char *
loop_known_name(int i)
{
	const unsigned char *name = lws_token_to_string((enum lws_token_indexes)i);

	return name != NULL ? (const char *)name : "";
}

/* Runs a lent loop until it is stopped or has nothing left to watch. */
static void
run_lent(struct loop *l)
{
	if (l->kind == CONF_LOOP_EV)
		(void)ev_run(l->ev, 0);
	else
		(void)uv_run(&l->uv, UV_RUN_DEFAULT);
}

void
loop_free(struct loop **loop)
{
	struct loop *l = *loop;

	if (l == NULL)
		return;
	*loop = NULL;
	l->before_sleep = NULL;
	lws_context_destroy(l->context);
	if (l->kind == CONF_LOOP_UV) {
		uv_unref((uv_handle_t *)&l->uv_prepare);
		/* libuv closes its handles in turns of the loop; then the library
		 * is asked again, to free the rest */
		run_lent(l);
		lws_context_destroy(l->context);
	}
	take_back(l);
	loop_fds_free(&l->fds);
	free(l);
}

void
loop_run(struct loop *l)
{
	if (l->kind != CONF_LOOP_POLL)
		run_lent(l);
	else
		do
			turn_ends(l);
		while (!l->stopping && lws_service(l->context, 0) >= 0);
}

void
loop_before_sleep(struct loop *loop, void (*before_sleep)(void *), void *arg)
{
	loop->before_sleep = before_sleep;
	loop->before_sleep_arg = arg;
}

void
loop_breathe(struct loop *l)
{
	int64_t now;

	if (l->before_sleep == NULL || l->in_timer || loop_fds_dispatching(l->fds))
		return;
	now = clock_mono_us();
	if (l->turn_began == 0)
		l->turn_began = now;
	if (now - l->turn_began < BREATH_US)
		return;
	loop_fds_dispatch(l->fds, false);
	turn_ends(l);
}

void
loop_stop(struct loop *l)
{
	switch (l->kind) {
	case CONF_LOOP_UV:
		uv_stop(&l->uv);
		break;
	case CONF_LOOP_EV:
		ev_break(l->ev, EVBREAK_ALL);
		break;
	case CONF_LOOP_AUTO:
	case CONF_LOOP_POLL:
		l->stopping = true;
		lws_cancel_service(l->context);
	}
}

struct lws_context *
loop_context(struct loop *loop)
{
	return loop->context;
}

struct loop_fd *
loop_watch(struct loop *loop, int fd, void (*readable)(void *), void (*writable)(void *), void *arg)
{
	return loop_fds_add(loop->fds, fd, readable, writable, arg);
}

static void
on_timer(lws_sorted_usec_list_t *sul)
{
	struct loop_timer *t = lws_container_of(sul, struct loop_timer, sul);
	struct loop *l = t->loop;

	l->in_timer = true;
	t->fire(t->arg); /* it may be free now */
	l->in_timer = false;
}

struct loop_timer *
loop_timer_new(struct loop *loop, void (*fire)(void *), void *arg)
{
	struct loop_timer *t = calloc(1, sizeof(*t));

	if (t != NULL) {
		t->loop = loop;
		t->fire = fire;
		t->arg = arg;
	}
	return t;
}

void
loop_timer_set(struct loop_timer *t, int64_t us)
{
	lws_sul_schedule(t->loop->context, 0, &t->sul, on_timer, us > 0 ? us : 1);
}

void
loop_timer_cancel(struct loop_timer *t)
{
	lws_sul_cancel(&t->sul);
}

void
loop_timer_free(struct loop_timer **timer)
{
	if (*timer == NULL)
		return;
	lws_sul_cancel(&(*timer)->sul);
	free(*timer);
	*timer = NULL;
}
