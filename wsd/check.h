/* wsd/check.h - what evhub-wsd -t looks at besides the database. */

#ifndef EVH_WSD_CHECK_H
#define EVH_WSD_CHECK_H

#include "common/conf.h"
#include "common/problems.h"

void wsd_check(const struct conf *conf, struct problems *p);

#endif
