/* How each server is told to publish, and how it answers. */

#include "tests/bench/http.h"
#include "tests/bench/mqtt.h"
#include "tests/bench/payload.h"
#include "tests/bench/pub.h"
#include "tests/bench/util.h"
#include "tests/bench/ws.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Lines: the answer is good unless it begins like this. */
static size_t
line_answers(const char *text, size_t len, uint64_t *good, uint64_t *bad)
{
	static const char wrong[] = "{\"ok\":false";
	const char *end = text + len, *line = text, *next;

	while ((next = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		if ((size_t)(next - line) > sizeof(wrong) &&
			memcmp(line, wrong, sizeof(wrong) - 1) == 0) {
			if ((*bad)++ == 0)
				fprintf(stderr, "%.*s\n", (int)(next - line), line);
		} else {
			(*good)++;
		}
		line = next + 1;
	}
	return (size_t)(line - text);
}

static size_t
control_request(char *out, const struct pub_options *o, const char *payload)
{
	return (size_t)sprintf(out,
		"{\"op\":\"publish\",\"event_type\":\"%.64s\",\"message\":\"bench\",\"body\":%.*s}\n",
		o->type, PAYLOAD_BYTES, payload);
}

const struct pub_way pub_control = { "control", NULL, control_request, line_answers, false };

/* The ceiling server takes payloads, a line each, after this one. */
static void
line_greet(int fd, const struct pub_options *o)
{
	(void)o;
	send_all(fd, "PUBLISH\n", 8);
}

static size_t
line_request(char *out, const struct pub_options *o, const char *payload)
{
	(void)o;
	memcpy(out, payload, PAYLOAD_BYTES);
	out[PAYLOAD_BYTES] = '\n';
	return PAYLOAD_BYTES + 1;
}

const struct pub_way pub_line = { "line", line_greet, line_request, line_answers, false };

static size_t
http_request(char *out, const struct pub_options *o, const char *payload)
{
	return (size_t)sprintf(out,
		"POST %.200s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
		"Content-Length: %d\r\n\r\n%.*s",
		o->path, PAYLOAD_BYTES, PAYLOAD_BYTES, payload);
}

static size_t
http_answers(const char *text, size_t len, uint64_t *good, uint64_t *bad)
{
	struct http_answer a;
	size_t at = 0;

	while (http_parse(text + at, len - at, &a)) {
		if (a.status >= 200 && a.status < 300)
			(*good)++;
		else if ((*bad)++ == 0)
			fprintf(stderr, "%.*s\n", (int)a.len, text + at);
		at += a.len;
	}
	return at;
}

const struct pub_way pub_http = { "http", NULL, http_request, http_answers, false };

/* Pushpin: the content is a JSON string, in an item, in a list. */
static size_t
pushpin_request(char *out, const struct pub_options *o, const char *payload)
{
	char body[PUB_REQUEST_MAX / 2];
	size_t n = (size_t)sprintf(body,
		"{\"items\":[{\"channel\":\"%.64s\",\"formats\":{\"ws-message\":{\"content\":\"",
		o->type);

	for (size_t i = 0; i < PAYLOAD_BYTES; i++) {
		if (payload[i] == '"')
			body[n++] = '\\';
		body[n++] = payload[i];
	}
	n += (size_t)sprintf(body + n, "\"}}}]}");
	return (size_t)sprintf(out,
		"POST /publish/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
		"Content-Length: %zu\r\n\r\n%s",
		n, body);
}

const struct pub_way pub_pushpin = { "pushpin", NULL, pushpin_request, http_answers, true };

/* Over a WebSocket: a text message each way. */
static void
ws_greet(int fd, const struct pub_options *o)
{
	char text[1024];
	size_t n = ws_request(text, sizeof(text), o->path, NULL, NULL);

	send_all(fd, text, n);
	/* its answer ends with an empty line; no message comes before ours */
	for (n = 0; n < 4 || memcmp(text + n - 4, "\r\n\r\n", 4) != 0; n++)
		if (n == sizeof(text) || recv(fd, text + n, 1, 0) != 1)
			die("the server refuses its publisher");
}

static size_t
ws_publish(char *out, const struct pub_options *o, const char *payload)
{
	(void)o;
	return ws_frame((uint8_t *)out, WS_TEXT, payload, PAYLOAD_BYTES);
}

static size_t
ws_answers(const char *text, size_t len, uint64_t *good, uint64_t *bad)
{
	struct ws_head h;
	size_t at = 0;

	while (ws_parse((const uint8_t *)text + at, len - at, &h)) {
		if (h.opcode == WS_TEXT)
			(*good)++;
		else if (h.opcode == WS_CLOSE)
			(*bad)++;
		at += h.head + h.len;
	}
	return at;
}

const struct pub_way pub_ws = { "ws", ws_greet, ws_publish, ws_answers, false };

static void
mqtt_greet(int fd, const struct pub_options *o)
{
	uint8_t packet[MQTT_OVERHEAD];

	(void)o;
	send_all(fd, packet, mqtt_connect(packet, 9999999));
	if (recv(fd, packet, 4, MSG_WAITALL) != 4 || packet[0] != 0x20 || packet[3] != 0)
		die("the server refuses its publisher");
}

static size_t
mqtt_request(char *out, const struct pub_options *o, const char *payload)
{
	static uint16_t packet;

	if (++packet == 0)
		packet = 1;
	return mqtt_publish((uint8_t *)out, o->type, packet, payload, PAYLOAD_BYTES);
}

static size_t
mqtt_answers(const char *text, size_t len, uint64_t *good, uint64_t *bad)
{
	size_t at = 0;

	for (; len - at >= MQTT_PUBACK_BYTES; at += MQTT_PUBACK_BYTES)
		(*((uint8_t)text[at] == MQTT_PUBACK ? good : bad))++;
	return at;
}

const struct pub_way pub_mqtt = { "mqtt", mqtt_greet, mqtt_request, mqtt_answers, false };
