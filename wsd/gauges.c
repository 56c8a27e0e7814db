#include "wsd/gauges.h"

#include "common/clock.h"

#include <dirent.h>
#include <malloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static int64_t
file_bytes(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

static void
read_database(struct gauges *g, const char *database)
{
	char wal[4096];
	struct statvfs fs;

	g->database_bytes = file_bytes(database);
	g->wal_bytes = -1;
	if (snprintf(wal, sizeof(wal), "%s-wal", database) < (int)sizeof(wal))
		g->wal_bytes = file_bytes(wal);
	if (g->database_bytes >= 0 && g->wal_bytes < 0)
		g->wal_bytes = 0; /* there is none just now */
	g->disk_free_bytes =
		statvfs(database, &fs) == 0 ? (int64_t)fs.f_bavail * (int64_t)fs.f_frsize : -1;
}

/* The fields of proc_pid_stat(5) behind the name, which may hold anything. */
static void
read_process(struct gauges *g)
{
	char text[1024];
	FILE *fp = fopen("/proc/self/stat", "re");
	size_t n = fp != NULL ? fread(text, 1, sizeof(text) - 1, fp) : 0;
	long long threads, start, virtual, pages;
	const char *p;
	struct timespec up;

	if (fp != NULL)
		(void)fclose(fp);
	text[n] = '\0';
	p = strrchr(text, ')');
	g->threads = g->virtual_bytes = g->resident_bytes = g->started_us = -1;
	/* fields 20, 22, 23 and 24 */
	if (p == NULL ||
		sscanf(p + 1,
			" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %lld %*d "
			"%lld %lld %lld",
			&threads, &start, &virtual, &pages) != 4)
		return;
	g->threads = threads;
	g->virtual_bytes = virtual;
	g->resident_bytes = pages * sysconf(_SC_PAGESIZE);
	if (clock_gettime(CLOCK_BOOTTIME, &up) == 0)
		g->started_us = clock_now_us() - (up.tv_sec * 1000000 + up.tv_nsec / 1000) +
			start * 1000000 / sysconf(_SC_CLK_TCK);
}

static int64_t
allocated_bytes(int few)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
	struct mallinfo2 info;

	if (!few)
		return -1;
	info = mallinfo2();
	return (int64_t)(info.uordblks + info.hblkhd);
#else
	(void)few;
	return -1;
#endif
}

static int64_t
count_fds(int few)
{
	struct stat st;
	int64_t n = -1; /* the directory's own */
	DIR *dir;

	/* Linux 6.2 and later tell the number as the size of the directory */
	if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
		return (int64_t)st.st_size;
	if (!few || (dir = opendir("/proc/self/fd")) == NULL)
		return -1;
	for (const struct dirent *e; (e = readdir(dir)) != NULL;)
		if (e->d_name[0] != '.')
			n++;
	(void)closedir(dir);
	return n;
}

void
gauges_read(struct gauges *g, const char *database, int few)
{
	struct timespec cpu;
	struct rlimit limit;

	read_database(g, database);
	read_process(g);
	g->cpu_us = clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0
		? (int64_t)cpu.tv_sec * 1000000 + cpu.tv_nsec / 1000
		: -1;
	g->allocated_bytes = allocated_bytes(few);
	g->sqlite_bytes = sqlite3_memory_used();
	g->open_fds = count_fds(few);
	g->max_fds = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY
		? (int64_t)limit.rlim_cur
		: -1;
}
