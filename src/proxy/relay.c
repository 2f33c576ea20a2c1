/*
 * Moving bytes one way.  Runs on the thread of the connection.
 *
 * Nothing is read while the output is blocked: the bytes not sent fill a block
 * already, and the kernel's buffers on both sides have far more room than
 * another block.  So a blocked direction costs a bounded amount of memory and
 * no wake-ups.
 */
#include "proxy/relay.h"

#include <assert.h>

void
relay_init(struct relay *relay, struct stream *from, struct stream *to)
{
	*relay = (struct relay){ .from = from, .to = to };
}

void
relay_fini(struct relay *relay)
{
	buf_drop(&relay->buf, relay->from->pool);
}

void
relay_drop(struct relay *relay)
{
	relay->dropping = true;
	relay->front = 0;
	buf_drop(&relay->buf, relay->from->pool);
}

uint8_t *
relay_front(struct relay *relay, size_t max)
{
	if (!buf_hold(&relay->buf, relay->from->pool))
		return NULL;
	assert(buf_room(&relay->buf) >= max);
	return buf_tail(&relay->buf);
}

void
relay_commit(struct relay *relay, size_t count)
{
	buf_commit(&relay->buf, count);
	relay->front = (uint32_t)count;
	buf_rest(&relay->buf, relay->from->pool);
}

static bool
has_output(const struct relay *relay)
{
	if (relay->dropping)
		return false;
	return buf_len(&relay->buf) > 0 || stream_wants_write(relay->to);
}

/*
 * Only if the next pump would write: otherwise the level-triggered loop would
 * wake again and again.
 */
bool
relay_wants_output(const struct relay *relay)
{
	return has_output(relay) && !stream_must_read_first(relay->to);
}

/* No byte of the input waits to be sent. */
static bool
has_room(const struct relay *relay)
{
	return !has_output(relay) ||
	       (relay->front > 0 && buf_len(&relay->buf) == relay->front);
}

bool
relay_wants_input(const struct relay *relay)
{
	return !relay->input_ended && has_room(relay) &&
	       !stream_must_write_first(relay->from);
}

static size_t
waiting(const struct relay *relay)
{
	return buf_len(&relay->buf) + buf_len(&relay->to->out);
}

/* Send the bytes not sent yet.  IO_DONE: none are left. */
static enum io
write_rest(struct relay *relay, bool *moved)
{
	size_t before = waiting(relay);
	enum io io;

	if (!has_output(relay))
		return IO_DONE;
	relay->front = 0;
	if (buf_len(&relay->buf) > 0)
		io = stream_write(relay->to, &relay->buf);
	else
		io = stream_flush(relay->to);
	buf_rest(&relay->buf, relay->from->pool);
	/* Records are longer than their payload: compare, do not subtract. */
	if (io == IO_DONE || waiting(relay) != before)
		*moved = true;
	return io;
}

static enum relay_state
pass_on_end(struct relay *relay)
{
	if (!relay->dropping) {
		switch (stream_end(relay->to)) {
		case IO_DONE:
			break;
		case IO_FAILED:
			return RELAY_TO_FAILED;
		default:
			return RELAY_WAITS;
		}
	}
	relay->output_ended = true;
	return RELAY_ENDED;
}

/* Fill the buffer, which has at most the front; IO_DONE: bytes were read. */
static enum io
read_some(struct relay *relay, size_t *turn)
{
	struct pool *pool = relay->from->pool;
	enum io io;

	assert(buf_len(&relay->buf) == relay->front);
	io = stream_read(relay->from, &relay->buf);
	*turn += buf_len(&relay->buf);
	if (relay->dropping)
		buf_drop(&relay->buf, pool);
	if (io == IO_END)
		relay->input_ended = true;
	buf_rest(&relay->buf, pool);
	return io;
}

enum relay_state
relay_read_ahead(struct relay *relay)
{
	size_t turn = 0;

	if (!relay_wants_input(relay))
		return RELAY_WAITS;
	if (!buf_hold(&relay->buf, relay->from->pool))
		return RELAY_NO_MEMORY;
	if (read_some(relay, &turn) == IO_FAILED)
		return RELAY_FROM_FAILED;
	return RELAY_WAITS;
}

/* One buffer.  RELAY_TURN_OVER: there may be more. */
static enum relay_state
move_once(struct relay *relay, size_t *turn, bool *moved)
{
	switch (write_rest(relay, moved)) {
	case IO_DONE:
		break;
	case IO_FAILED:
		return RELAY_TO_FAILED;
	default:
		return RELAY_WAITS;
	}
	if (relay->input_ended)
		return pass_on_end(relay);
	if (!buf_hold(&relay->buf, relay->from->pool))
		return RELAY_NO_MEMORY;
	switch (read_some(relay, turn)) {
	case IO_DONE:
		*moved = true;
		return RELAY_TURN_OVER;
	case IO_END:
		return RELAY_TURN_OVER;
	case IO_FAILED:
		return RELAY_FROM_FAILED;
	default:
		return RELAY_WAITS;
	}
}

enum relay_state
relay_pump(struct relay *relay, bool *moved)
{
	enum relay_state state;
	size_t turn = 0;

	if (relay->output_ended)
		return RELAY_ENDED;
	do
		state = move_once(relay, &turn, moved);
	while (state == RELAY_TURN_OVER && turn < RELAY_TURN_BYTES);
	if (state != RELAY_TURN_OVER)
		return state;

	/* The bytes read last leave in the same turn. */
	switch (write_rest(relay, moved)) {
	case IO_DONE:
		return RELAY_TURN_OVER;
	case IO_FAILED:
		return RELAY_TO_FAILED;
	default:
		return RELAY_WAITS;
	}
}
