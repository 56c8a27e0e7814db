/* fcgi/check.h - what evhub-fcgi -t looks at besides the database. */

#ifndef EVH_FCGI_CHECK_H
#define EVH_FCGI_CHECK_H

#include "common/conf.h"
#include "common/problems.h"

void fcgi_check(const struct conf *conf, struct problems *p);

#endif
