/* proc.h - what the processes of a server use. */

#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROC_MAX 32

struct procs {
	pid_t pid[PROC_MAX];
	size_t count;
};

struct proc_memory {
	uint64_t rss, pss; /* bytes, summed over the processes */
};

/* "12,34,56" */
struct procs procs_parse(const char *list);

/* CPU time used so far, user and system, all threads, µs. */
uint64_t procs_cpu_us(const struct procs *p);
struct proc_memory procs_memory(const struct procs *p);

/* The same of the caller. */
uint64_t own_cpu_us(void);

#endif
