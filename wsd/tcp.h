/* tcp.h - what is asked of the kernel about a connection (tcp(7)).  On a socket
 * of another kind these do nothing. */

#ifndef EVH_WSD_TCP_H
#define EVH_WSD_TCP_H

#include <stdbool.h>
#include <stdint.h>

/* Holds small writes back until they fill a packet, or lets them go (TCP_CORK;
 * the kernel does so by itself after 200 ms).  False if it does not. */
bool tcp_cork(int fd, bool on);

/* How many bytes have come, whether they were read or not; 0 if that is not
 * known.  Linux 4.1 and later. */
uint64_t tcp_received(int fd);

#endif
