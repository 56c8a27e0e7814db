#include "fcgi/response.h"

#define OUT_OF_MEMORY                                  \
	"{\"code\":503,\"message\":\"out of memory\"," \
	"\"stack\":[{\"code\":503,\"description\":\"out of memory\",\"error\":\"out_of_memory\",\"path\":\"\"}]}"

void
response_error(struct response *r, const struct api_error *e)
{
	buf_clear(&r->body);
	r->type = NULL;
	r->status = e->code;
	r->retry_after = api_error_retry_after(e);
	api_error_json(e, &r->body);
	if (e->stack.failed)
		r->body.failed = true;
}

void
response_write(struct response *r, struct buf *out)
{
	if (r->body.failed) {
		buf_free(&r->body);
		r->type = NULL;
		r->status = 503;
		buf_puts(&r->body, OUT_OF_MEMORY);
	}
	buf_printf(out,
		"Status: %d %s\r\n"
		"Content-Type: %s\r\n"
		"Content-Length: %zu\r\n"
		"Cache-Control: no-store\r\n",
		r->status, api_status_text(r->status), r->type != NULL ? r->type : "application/json",
		r->body.len);
	if (r->status == 401)
		buf_puts(out, "WWW-Authenticate: Bearer\r\n");
	if (r->status == 405 && r->allow != NULL)
		buf_printf(out, "Allow: %s\r\n", r->allow);
	if (r->status == 503 || r->status == 429)
		buf_printf(out, "Retry-After: %d\r\n", r->retry_after > 0 ? r->retry_after : 2);
	if (r->note.len > 0 && !r->note.failed)
		buf_printf(out, "Evhub-Note: %s\r\n", r->note.data);
	buf_puts(out, "\r\n");
	buf_add(out, r->body.data, r->body.len);
}

void
response_free(struct response *r)
{
	buf_free(&r->body);
	buf_free(&r->note);
	r->status = 0;
}
