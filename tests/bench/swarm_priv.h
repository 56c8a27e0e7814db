/* swarm_priv.h - swarm.c makes connections, swarm_read.c reads them. */

#ifndef BENCH_SWARM_PRIV_H
#define BENCH_SWARM_PRIV_H

#include "tests/bench/swarm.h"

#define IN_BYTES (128 * 1024)
#define REST_MAX (1024 * 1024)

/* Something can be read. */
void conn_readable(struct swarm *s, struct conn *c);

/* It is open now. */
void conn_opened(struct swarm *s, struct conn *c);

/* It is no more, and that was not our wish. */
void conn_lost(struct swarm *s, struct conn *c);

#endif
