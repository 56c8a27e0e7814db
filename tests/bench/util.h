/* util.h - clocks, complaints and descriptors, for the programs of the
 * benchmark.  What must not fail ends the program. */

#ifndef BENCH_UTIL_H
#define BENCH_UTIL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CLOCK_MONOTONIC: the same for all processes of a machine. */
uint64_t now_us(void);

/* Complains and exits 1. */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* calloc that does not fail. */
void *need(size_t count, size_t size);

/* "127.0.0.1:8090", on loopback only. */
struct sockaddr_in address(const char *text);

/* A blocking connection to "addr:port" or, with a slash in it, a Unix socket. */
int dial(const char *to);

void set_nonblocking(int fd);

/* Writes all, waiting if need be. */
void send_all(int fd, const void *bytes, size_t len);

/* A decimal number within bounds. */
long long number(const char *text, long long min, long long max);

/* The lines of a file. */
struct lines {
	char **at;
	size_t count;
};
struct lines read_lines(const char *path);

#endif
