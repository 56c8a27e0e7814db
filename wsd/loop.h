/* loop.h - the service loop: descriptors to watch and timers.
 *
 * A thin face on the loop of libwebsockets (libuv, libev or poll), so that
 * nothing but loop.c and conn.c knows the library.  One thread; every
 * callback runs in it. */

#ifndef EVH_WSD_LOOP_H
#define EVH_WSD_LOOP_H

#include "common/conf.h"
#include "common/rc.h"

#include <stdbool.h>
#include <stdint.h>

/* The longest request header of a handshake.  The library counts the length of
 * one header in 16 bits, so it must be less than 64 KiB. */
#define LOOP_HEADER_BYTES (60 * 1024)

struct lws_context;
struct loop;
struct loop_fd;
struct loop_timer;

/* fds: how many descriptors the process may come to hold: the library takes no
 * connection with a number behind that.  handshake_ms: what a peer may take over
 * the handshake of TLS. */
enum evh_rc loop_new(struct loop **out, enum conf_event_loop kind, unsigned fds, int64_t handshake_ms);

int loop_max_fds(const struct loop *loop);

/* Everything that was watched must have been unwatched. */
void loop_free(struct loop **loop);

/* Runs until loop_stop. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Calls before_sleep at the end of each turn, when everything that was ready
 * has been served and the loop is about to wait. */
void loop_before_sleep(struct loop *loop, void (*before_sleep)(void *arg), void *arg);

/* To be called behind each connection that was served: when that has taken long
 * already, it serves the watched descriptors and ends a turn in between, so that
 * whoever has many connections keeps nobody else waiting. */
void loop_breathe(struct loop *loop);

struct lws_context *loop_context(struct loop *loop);

/* The i-th of the names of headers and methods by which the library reads a request,
 * as it has them ("host:", "get "); "" where it has none. */
const char *loop_known_name(int i);
int loop_known_names(void);

/* Watches fd, which loop_unwatch or loop_free will close.  readable is called
 * whenever there is something to read, the end included; writable (may be NULL)
 * once after each loop_want_write.  NULL when out of memory: fd is then still the caller's. */
struct loop_fd *loop_watch(
	struct loop *loop, int fd, void (*readable)(void *arg), void (*writable)(void *arg), void *arg);

/* Says that this one brings connections: it is left out of loop_breathe. */
void loop_brings_work(struct loop_fd *watched);
void loop_want_write(struct loop_fd *watched);

/* False once the descriptor is being closed from underneath, which readable is
 * told too: only loop_unwatch is left to do. */
bool loop_is_open(const struct loop_fd *watched);

/* Stops or goes on calling readable. */
void loop_pause(struct loop_fd *watched, bool paused);

/* Calls nothing any more and closes the descriptor.  Safe
 * inside its own callbacks. *watched becomes NULL. */
void loop_unwatch(struct loop_fd **watched);

/* A timer that is not set; NULL when out of memory. */
struct loop_timer *loop_timer_new(struct loop *loop, void (*fire)(void *arg), void *arg);

/* Fires once, after us microseconds; replaces an earlier setting. */
void loop_timer_set(struct loop_timer *timer, int64_t us);
void loop_timer_cancel(struct loop_timer *timer);
void loop_timer_free(struct loop_timer **timer);

#endif
