/*
 * The modes that move bytes without end, one way.  Downloaded bytes are
 * counted here; uploaded ones by the backend, which is the end that receives
 * them.  A turn is bounded so that one stream does not starve the others.
 */
#include "load.h"

#include <sys/epoll.h>

enum { RECORDS_PER_TURN = 16, RECORD = 16384 };

static void
begin_stream(struct client *c)
{
	c->to_write = 1;
}

static enum step
download_step(struct client *c)
{
	struct load *l = c->load;
	enum step result = STEP_WAIT;
	size_t got;

	if (c->to_write) {
		if (!client_write(c, l->message, 1, &result))
			return result;
		c->to_write = 0;
	}
	for (int i = 0; i < RECORDS_PER_TURN; i++) {
		if (!client_read(c, l->scratch, LOAD_SCRATCH, &got, &result))
			return result;
		l->count.bytes += got;
	}
	return STEP_WAIT;
}

static enum step
upload_step(struct client *c)
{
	enum step result = STEP_WAIT;

	for (int i = 0; i < RECORDS_PER_TURN; i++)
		if (!client_write(c, c->load->message, RECORD, &result))
			return result;
	client_want(c, EPOLLOUT);
	return STEP_WAIT;
}

const struct mode mode_download = {
	.name = "download",
	.command = 'd',
	.begin = begin_stream,
	.step = download_step,
};

const struct mode mode_upload = {
	.name = "upload",
	.command = 's',
	.begin = begin_stream,
	.step = upload_step,
};
