/* listener.h - listening sockets: addresses in text, and accepting. */

#ifndef EVH_WSD_LISTENER_H
#define EVH_WSD_LISTENER_H

#include "common/buf.h"
#include "common/rc.h"

#include <stdbool.h>
#include <stddef.h>

/* Room for an address in text: "unix", IPv4 or IPv6. */
#define LISTENER_ADDRESS_BYTES 64

/* Whether an address is one of a Unix socket. */
bool listener_is_unix(const char *address);

/* Binds and listens on "addr:port", "[v6]:port" or "unix:/path", with
 * SO_REUSEPORT.  *fd is non-blocking; the address with its real port is
 * appended to names.  On failure why (of why_size bytes) says what is wrong. */
enum evh_rc listener_open(const char *address, int *fd, struct buf *names, char *why, size_t why_size);

/* A Unix stream socket of this mode.  Takes the place of a socket file that
 * nobody listens on; EVH_EXISTS if somebody does. */
enum evh_rc listener_open_unix(const char *path, unsigned mode, int *fd, char *why, size_t why_size);

/* Accepts one connection: its non-blocking descriptor, or -1 (errno).  peer
 * gets the address of the other side. */
int listener_accept(int fd, char peer[LISTENER_ADDRESS_BYTES]);

/* Throws away what has come, within reason.  False at the end of the connection. */
bool listener_discard(int fd);

#endif
