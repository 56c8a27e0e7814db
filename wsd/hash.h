/* hash.h - uthash, told not to end the program for want of memory.
 *
 * After HASH_ADD_… the caller asks hash_added(element): false means that there
 * was no memory and that the element is not in the table. */

#ifndef EVH_WSD_HASH_H
#define EVH_WSD_HASH_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define hash_added(element) ((element)->hh.tbl != NULL)

#endif
