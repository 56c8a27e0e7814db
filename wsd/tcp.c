#include "wsd/tcp.h"

#include <linux/tcp.h> /* its tcp_info is longer than the one of netinet/tcp.h */
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

bool
tcp_cork(int fd, bool on)
{
	int value = on;

	return setsockopt(fd, IPPROTO_TCP, TCP_CORK, &value, sizeof(value)) == 0;
}

uint64_t
tcp_received(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	/* an older kernel fills in less: the rest stays 0 */
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 ? info.tcpi_bytes_received : 0;
}
