#include "tests/bench/proc.h"

#include "tests/bench/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct procs
procs_parse(const char *list)
{
	struct procs p = { .count = 0 };

	while (*list != '\0') {
		char *end;
		long pid = strtol(list, &end, 10);

		if (end == list || pid <= 0 || p.count == PROC_MAX || (*end != ',' && *end != '\0'))
			die("%s: not a list of processes", list);
		p.pid[p.count++] = (pid_t)pid;
		list = *end == ',' ? end + 1 : end;
	}
	return p;
}

static uint64_t
clock_us(clockid_t clock)
{
	struct timespec t = { 0, 0 };

	if (clock_gettime(clock, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000U + (uint64_t)t.tv_nsec / 1000;
}

uint64_t
procs_cpu_us(const struct procs *p)
{
	uint64_t us = 0;

	for (size_t i = 0; i < p->count; i++) {
		clockid_t clock;

		if (clock_getcpuclockid(p->pid[i], &clock) == 0)
			us += clock_us(clock);
	}
	return us;
}

uint64_t
own_cpu_us(void)
{
	return clock_us(CLOCK_PROCESS_CPUTIME_ID);
}

struct proc_memory
procs_memory(const struct procs *p)
{
	struct proc_memory m = { 0, 0 };

	for (size_t i = 0; i < p->count; i++) {
		char path[64], line[256];
		unsigned long long kib;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)p->pid[i]);
		f = fopen(path, "r");
		while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
			if (sscanf(line, "Rss: %llu kB", &kib) == 1)
				m.rss += kib * 1024;
			else if (sscanf(line, "Pss: %llu kB", &kib) == 1)
				m.pss += kib * 1024;
		}
		if (f != NULL)
			fclose(f);
	}
	return m;
}
