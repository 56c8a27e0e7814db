/* The request that libwebsockets reads itself, over TLS of the daemon's own: whatever
 * we let pass it answers as we would, with the hash of the key that we have read.
 * Held against the library itself.
 *
 * The input is the lines of a header, "?" and a query in front if it likes; what a
 * handshake needs and is not there comes behind. */

#include "tests/fuzz/fuzz.h"
#include "wsd/handover.h"
#include "wsd/loop.h"
#include "wsd/subprotocols.h"

#include <errno.h>
#include <libwebsockets.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */

static struct lws_context *context;
static struct lws_vhost *vhost;

/* As conn.c, but that every request is granted and every connection closed. */
static int
on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	(void)wsi;
	(void)user;
	(void)in;
	(void)len;
	return reason == LWS_CALLBACK_HTTP || reason == LWS_CALLBACK_ESTABLISHED ? -1 : 0;
}

static const struct lws_protocols protocols[] = {
	{ SUBPROTOCOL, on_event, 0, 192, 0, NULL, 0 },
	{ NULL, NULL, 0, 0, 0, NULL, 0 },
};

/* As in loop.c. */
static void
set_up(void)
{
	struct lws_context_creation_info info;

	lws_set_log_level(0, NULL);
	memset(&info, 0, sizeof(info));
	info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME;
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.fd_limit_per_thread = 64;
	info.max_http_header_data2 = LOOP_HEADER_BYTES;
	info.max_http_header_pool2 = 8;
	info.gid = -1;
	info.uid = -1;
	context = lws_create_context(&info);
	FUZZ_CHECK(context != NULL);
	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info.vhost_name = "evhub-tls";
	info.protocols = protocols;
	vhost = lws_create_vhost(context, &info);
	FUZZ_CHECK(vhost != NULL);
}

/* The head that the input asks for. */
static void
write_head(struct buf *head, struct fuzz_input in)
{
	static const char *const needed[] = { "Host: x", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" };
	bool there[5] = { false };
	char *line = fuzz_line(&in);

	buf_puts(head, "GET /api/v1/ws/subscribe");
	if (line != NULL && line[0] == '?') {
		buf_puts(head, line);
		free(line);
		line = fuzz_line(&in);
	}
	buf_puts(head, " HTTP/1.1\r\n");
	for (; line != NULL; line = fuzz_line(&in)) {
		for (size_t i = 0; i < 5; i++) {
			size_t name = strcspn(needed[i], ":") + 1;

			there[i] = there[i] || strncasecmp(line, needed[i], name) == 0;
		}
		buf_printf(head, "%s\r\n", line);
		free(line);
	}
	for (size_t i = 0; i < 5; i++)
		if (!there[i])
			buf_printf(head, "%s\r\n", needed[i]);
	buf_puts(head, "\r\n");
	FUZZ_CHECK(!head->failed);
}

/* What the library answers. */
static void
ask_library(struct buf *answer, const struct buf *head)
{
	int pair[2];
	char text[1024];
	ssize_t n;

	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	(void)lws_adopt_socket_vhost_readbuf(vhost, pair[0], head->data, head->len);
	while ((n = recv(pair[1], text, sizeof(text), 0)) > 0)
		buf_add(answer, text, (size_t)n);
	buf_add(answer, "", 1);
	FUZZ_CHECK(!answer->failed);
	(void)close(pair[1]);
	for (int i = 0; i < 4; i++) /* until it has let go of its end */
		(void)lws_service(context, -1);
}

static void
check_answer(const char *answer, const struct http_request *r)
{
	unsigned char hash[SHA_DIGEST_LENGTH], accept[32];
	char text[96];
	const char *at;

	FUZZ_CHECK(strncmp(answer, "HTTP/1.1 101 ", 13) == 0);
	(void)snprintf(text, sizeof(text), "%s" GUID, r->key);
	(void)EVP_Digest(text, strlen(text), hash, NULL, EVP_sha1(), NULL);
	(void)EVP_EncodeBlock(accept, hash, sizeof(hash));
	at = strstr(answer, "\r\nSec-WebSocket-Accept: ");
	FUZZ_CHECK(at != NULL && strncmp(at + 24, (char *)accept, 28) == 0 && at[52] == '\r');
	at = strstr(answer, "\r\nSec-WebSocket-Protocol: " SUBPROTOCOL "\r\n");
	FUZZ_CHECK((at != NULL) == (r->protocols != NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf head = BUF_INIT, text = BUF_INIT, answer = BUF_INIT;
	struct http_head_seen seen = { 0, false, 0 };
	struct api_error e = API_ERROR_INIT;
	struct http_request r;

	if (context == NULL)
		set_up();
	write_head(&head, (struct fuzz_input){ (const char *)data, size });
	if (http_head_check(head.data, head.len, 16384, &seen, &e) == HTTP_HEAD_GOOD &&
		seen.len == head.len) {
		FUZZ_CHECK(http_request_read(&r, &text, head.data, head.len));
		if (r.upgrade && handover_fault(&r, head.data, head.len) == NULL &&
			(r.protocols == NULL || subprotocols_have_ours(r.protocols))) {
			ask_library(&answer, &head);
			check_answer(answer.data, &r);
		}
	}
	api_error_free(&e);
	buf_free(&head);
	buf_free(&text);
	buf_free(&answer);
	return 0;
}
