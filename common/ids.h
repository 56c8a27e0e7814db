/* ids.h - the two kinds of identifier: client ids (UUID version 7, RFC 9562)
 * and message ids ("<epoch>-<sequence>" of an event, "<epoch>-<sequence>.<n>"
 * of anything else that was sent after it).  Pure, but for evh_uuid_new. */

#ifndef EVH_IDS_H
#define EVH_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVH_UUID_BYTES 16
#define EVH_UUID_TEXT 37 /* with the NUL */

/* The longest epoch, with its NUL, and the longest message id. */
#define EVH_EPOCH_TEXT 17
#define EVH_ID_TEXT (EVH_EPOCH_TEXT + 1 + 20 + 1 + 20)

/* From here on an id is random, but for two bits: good for a hash. */
#define EVH_UUID_RANDOM_AT 8

/* A new id, of the time in microseconds since 1970 (RFC 9562 section 5.7; the
 * 12 bits behind the milliseconds are their fraction, section 6.2 method 3).
 * Ids that are made one after another stand side by side in an index, so that
 * a commit of many touches few pages. */
void evh_uuid_new(uint8_t id[EVH_UUID_BYTES], int64_t now_us);
void evh_uuid_format(const uint8_t id[EVH_UUID_BYTES], char out[EVH_UUID_TEXT]);

/* False unless text is exactly a UUID in its usual form; either case. */
bool evh_uuid_parse(const char *text, uint8_t id[EVH_UUID_BYTES]);

/* Writes the id of an event (n == 0) or of another frame; returns its length. */
size_t evh_id_format(char out[EVH_ID_TEXT], const char *epoch, uint64_t seq, uint64_t n);

/* Splits an id.  False if text has another form; epoch and seq are set only
 * when true.  epoch: 1 to 16 lower-case hex digits. */
bool evh_id_parse(const char *text, char epoch[EVH_EPOCH_TEXT], uint64_t *seq);

#endif
