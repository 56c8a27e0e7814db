/* evhub-fcgi: the HTTP side of evhub, behind a web server.
 *
 * Three ways to run, told apart by how it was started: FastCGI on fd 0 when
 * that is a listening socket, plain CGI when a web server started it for one
 * request, else FastCGI on fcgi_listen.  This is the only file that knows
 * libfcgi.
 *
 * Each thread accepts, serves and closes.  libfcgi blocks in accept(), has no way
 * to be woken and waits for each part of a request, so it is given connections whose
 * requests are there (arrivals.h).  A connection is closed after its request even
 * if the web server would keep it: idle kept connections would occupy every thread. */

#include "common/clock.h"
#include "common/conf.h"
#include "common/db.h"
#include "common/log.h"
#include "fcgi/arrivals.h"
#include "fcgi/cgi.h"
#include "fcgi/check.h"
#include "fcgi/context.h"
#include "fcgi/listener.h"
#include "fcgi/service.h"
#include "fcgi/tries.h"
#include "fcgi/writer.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What a thread has freed is not given back to the kernel below this size: a
 * connection drops its cached pages whenever another process has written, and
 * fills them again with the next request. */
#define KEEP_BYTES (1024 * 1024)

/* What libfcgi is given and asked for at a time. */
#define PIECE_BYTES 65536

#define PROGRAM "evhub-fcgi"
#define SUMMARY "Answers the HTTP requests of evhub, as FastCGI or CGI behind a web server."

/* How long requests in hand may go on after SIGTERM, beyond their time-outs. */
#define STOP_SECONDS 10

struct server {
	const struct conf *conf;
	struct writer writer;
	struct keys *keys;
	struct listener listener;
	struct arrivals *arrivals;
	int stop[2];	       /* a pipe; closing the writing end stops the threads */
	bool finish_backlog;   /* when stopping, serve what has connected to our own path */
	pthread_mutex_t mutex; /* guards running */
	pthread_cond_t ended;
	int64_t running; /* threads */
	pthread_t *threads;
	int64_t started;
};

/* Where a body comes from. */
struct source {
	FCGX_Stream *in;
	int64_t deadline; /* µs, monotonic */
};

/* What one read of the socket brings, and no more, or a client that sends a byte now
 * and then would keep us beyond the deadline; each has a time limit of its own, see
 * arrivals.c. */
static size_t
read_input(void *arg, char *out, size_t len)
{
	struct source *source = arg;
	FCGX_Stream *in = source->in;
	int first, n = 0;

	if (len == 0 || clock_mono_us() >= source->deadline || (first = FCGX_GetChar(in)) < 0)
		return 0;
	out[0] = (char)first;
	if (len > 1 && in->stop > in->rdNext)
		n = FCGX_GetStr(out + 1,
			(size_t)(in->stop - in->rdNext) < len - 1 ? (int)(in->stop - in->rdNext)
								  : (int)(len - 1),
			in);
	return 1 + (n > 0 ? (size_t)n : 0);
}

static bool
is_late(void *arg)
{
	struct source *source = arg;

	return clock_mono_us() >= source->deadline || FCGX_GetError(source->in) == EAGAIN;
}

/* Has libfcgi read the request.  False if it is none; the connection is closed then. */
static bool
receive(FCGX_Request *fcgi, int fd)
{
	/* as if it were kept from an earlier request, and none can be accepted instead */
	fcgi->ipcFd = fd;
	fcgi->keepConnection = 1;
	fcgi->listen_sock = -1;
	fcgi->detached = 1; /* if it closes it, then without waiting for the web server */
	return FCGX_Accept_r(fcgi) == 0;
}

/* Sends what is left to send.  The connection, or -1 if that has failed. */
static int
finish(FCGX_Request *fcgi)
{
	int fd;

	fcgi->detached = 1; /* or libfcgi would wait for the web server to close */
	fcgi->keepConnection = 1;
	FCGX_ClearError(fcgi->in); /* it was late: there is an answer all the same */
	FCGX_Finish_r(fcgi);
	fd = fcgi->ipcFd;
	fcgi->ipcFd = -1;
	return fd;
}

static void
serve_one(struct server *s, struct context *ctx, FCGX_Request *fcgi, const struct arrival *arrival)
{
	struct source source = { fcgi->in, clock_mono_us() + s->conf->handshake_timeout * 1000 };
	const struct request_input input = { .read = read_input, .late = is_late, .arg = &source };
	struct response response = RESPONSE_INIT;
	struct buf out = BUF_INIT;
	struct request request;

	request_init(&request, fcgi->envp, input);
	service_handle(ctx, &request, &response);
	response_write(&response, &out);
	for (size_t done = 0; !out.failed && done < out.len;) {
		int n = out.len - done > PIECE_BYTES ? PIECE_BYTES : (int)(out.len - done);

		if (FCGX_PutStr(out.data + done, n, fcgi->out) != n) {
			(void)shutdown(fcgi->ipcFd, SHUT_RDWR); /* or libfcgi would try again */
			break; /* the web server is gone, or does not read */
		}
		done += (size_t)n;
	}
	if (arrival->whole) { /* which takes no time */
		source.deadline = INT64_MAX;
		request_drain(&request);
	}
	arrivals_answered(s->arrivals, arrival, finish(fcgi));
	request_free(&request);
	response_free(&response);
	buf_free(&out);
}

static void *
work(void *arg)
{
	struct server *s = arg;
	struct api_error e = API_ERROR_INIT;
	struct arrival arrival;
	struct context ctx;
	FCGX_Request fcgi;

	context_init(&ctx, s->conf, &s->writer);
	ctx.keys = s->keys;
	(void)context_open(&ctx, &e); /* a failure is logged; requests try again */
	api_error_free(&e);
	(void)FCGX_InitRequest(&fcgi, -1, 0);
	while (arrivals_next(s->arrivals, s->finish_backlog, &arrival))
		if (receive(&fcgi, arrival.fd))
			serve_one(s, &ctx, &fcgi, &arrival);
		else
			arrivals_answered(s->arrivals, &arrival, -1);
	context_free(&ctx);
	(void)pthread_mutex_lock(&s->mutex);
	s->running--;
	(void)pthread_cond_signal(&s->ended);
	(void)pthread_mutex_unlock(&s->mutex);
	return NULL;
}

/* False if there is not even one. */
static bool
start_threads(struct server *s)
{
	int error = 0;

	s->threads = calloc((size_t)s->conf->fcgi_threads, sizeof(*s->threads));
	if (s->threads == NULL)
		return false;
	(void)pthread_mutex_lock(&s->mutex);
	while (error == 0 && s->started < s->conf->fcgi_threads) {
		error = pthread_create(&s->threads[s->started], NULL, work, s);
		if (error == 0)
			s->started++;
		else
			log_error("thread_failed", "number=%lld reason=\"%s\"", (long long)s->started,
				strerror(error));
	}
	s->running = s->started;
	(void)pthread_mutex_unlock(&s->mutex);
	return s->started > 0;
}

/* Waits until every thread has ended.  False if some hang. */
static bool
stop_threads(struct server *s)
{
	struct timespec until;
	bool all;

	listener_hide(&s->listener);
	(void)close(s->stop[1]);
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += STOP_SECONDS + (CONTEXT_BUSY_MS + s->conf->confirm_timeout) / 1000;
	(void)pthread_mutex_lock(&s->mutex);
	while (s->running > 0 && pthread_cond_timedwait(&s->ended, &s->mutex, &until) == 0)
		;
	all = s->running == 0;
	(void)pthread_mutex_unlock(&s->mutex);
	for (int64_t i = 0; all && i < s->started; i++)
		(void)pthread_join(s->threads[i], NULL);
	return all;
}

static int
serve(struct server *s)
{
	sigset_t signals;
	int signo = 0, flags = fcntl(s->listener.fd, F_GETFL);

	/* threads inherit the mask, so only sigwait sees these */
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGUSR1);
	(void)sigaddset(&signals, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
	if (flags < 0 || fcntl(s->listener.fd, F_SETFL, flags | O_NONBLOCK) != 0 || pipe(s->stop) != 0 ||
		arrivals_new(&s->arrivals, s->listener.fd, s->stop[0], s->conf->handshake_timeout * 1000,
			(int)s->conf->fcgi_threads) != EVH_OK ||
		!start_threads(s)) {
		log_error("start_failed", "reason=\"%s\"", strerror(errno));
		return EXIT_FAILURE;
	}
	log_info("started", "version=%s threads=%lld database=%s", PACKAGE_VERSION,
		(long long)s->started, s->conf->database);
	while (sigwait(&signals, &signo) == 0 && signo == SIGHUP)
		keys_reload(s->keys, s->conf);
	log_info("stopping", "signal=%d", signo);
	if (!stop_threads(s)) {
		log_warn("stopped", "requests were still in hand");
		log_flush(true);
		_exit(EXIT_SUCCESS);
	}
	log_info("stopped", "%s", "");
	return EXIT_SUCCESS;
}

static int
run_fastcgi(const struct conf *conf, struct keys *keys, bool inherited)
{
	struct server s = { .conf = conf, .keys = keys, .mutex = PTHREAD_MUTEX_INITIALIZER };
	char why[LISTENER_WHY_BYTES];
	pthread_condattr_t attr;
	int status;

	/* the wall clock may jump while it waits */
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s.ended, &attr);
	(void)pthread_condattr_destroy(&attr);

	if (inherited) {
		listener_inherit(&s.listener, STDIN_FILENO);
	} else if (listener_open(&s.listener, conf->fcgi_listen, why) != EVH_OK) {
		log_error("listen_failed", "%s", why);
		return EXIT_FAILURE;
	}
	s.finish_backlog = s.listener.path != NULL;
	writer_init(&s.writer, conf);
	if (!tries_start())
		log_warn("out_of_memory", "effect=\"failed authentications are not limited\"");
	status = serve(&s);
	arrivals_free(&s.arrivals);
	writer_free(&s.writer);
	listener_close(&s.listener);
	free(s.threads);
	return status;
}

/* Makes sure that 0, 1 and 2 are taken: whatever was opened as one of them
 * would be written to by the log. */
static void
occupy_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

/* The exit status. */
static int
misconfigured(bool cgi)
{
	return cgi && cgi_refuse("misconfigured", "the configuration is refused; see the log")
		? EXIT_SUCCESS
		: EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	char why[CONF_WHY_BYTES] = "out of memory";
	struct verifier *verifier;
	struct keys keys;
	struct conf_args args;
	struct conf conf;
	bool socket_on_0, cgi;
	int status;

	occupy_standard_fds();
	(void)mallopt(M_TRIM_THRESHOLD, KEEP_BYTES);
	(void)umask(007); /* what we create holds events and hashes */
	(void)FCGX_Init();
	socket_on_0 = !FCGX_IsCGI();
	cgi = !socket_on_0 && cgi_started();
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGUSR1, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL); /* libfcgi has put its own handlers there */

	/* a web server passes a query without "=" to a CGI program as arguments
	 * (RFC 3875 section 4.4): they are the client's, not the operator's */
	status = conf_arguments(&args, cgi ? 1 : argc, argv, PROGRAM, SUMMARY);
	if (status >= 0) {
		conf_arguments_free(&args);
		return status;
	}
	if (args.path == NULL)
		args.path = getenv("EVHUB_CONF");
	if (args.test) {
		status = conf_test(&args, PROGRAM, fcgi_check);
		conf_arguments_free(&args);
		return status;
	}
	if (conf_load(&conf, &args, PROGRAM) != EVH_OK) {
		conf_arguments_free(&args);
		return misconfigured(cgi);
	}
	if (verifier_new(&verifier, &conf, why) != EVH_OK) {
		log_error("configuration_refused", "reason=\"%s\"", why);
		status = misconfigured(cgi);
	} else {
		keys_init(&keys, verifier);
		if (cgi)
			status = cgi_serve(&conf, &keys) ? EXIT_SUCCESS : EXIT_FAILURE;
		else
			status = run_fastcgi(&conf, &keys, socket_on_0);
		keys_free(&keys);
	}
	conf_arguments_free(&args);
	conf_free(&conf);
	log_flush(true);
	return status;
}
