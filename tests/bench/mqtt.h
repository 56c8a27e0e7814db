/* mqtt.h - the few packets of MQTT 3.1.1 that the benchmark needs.  Pure. */

#ifndef BENCH_MQTT_H
#define BENCH_MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longer than any packet made here, but for the payload. */
#define MQTT_OVERHEAD 128

/* Each returns the length of the packet; number makes the client's id. */
size_t mqtt_connect(uint8_t *out, unsigned number);
size_t mqtt_subscribe(uint8_t *out, const char *topic);

/* At least once: the server acknowledges packet (1 to 65535) by PUBACK. */
size_t mqtt_publish(uint8_t *out, const char *topic, uint16_t packet, const void *payload, size_t len);

bool mqtt_is_suback(const uint8_t *at, size_t len);

#define MQTT_PUBACK 0x40
#define MQTT_PUBACK_BYTES 4

#endif
