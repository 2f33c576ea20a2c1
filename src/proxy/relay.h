/*
 * One direction of a connection: from a stream, through one buffer, to a
 * stream.  A connection has two of them.  Back-pressure: the input is not read
 * while the output is blocked.  One thread.
 */
#ifndef PROXY_RELAY_H
#define PROXY_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "tls/stream.h"

struct relay {
	struct stream *from; /* borrowed from the connection */
	struct stream *to;
	struct buf buf;    /* blocks come from from->pool */
	uint32_t front;    /* bytes of relay_front in buf, none sent yet */
	bool dropping;     /* see relay_drop */
	bool input_ended;  /* `from` returned IO_END */
	bool output_ended; /* all bytes and the end were sent to `to` */
};

enum relay_state {
	RELAY_WAITS,     /* for an event on from or to */
	RELAY_TURN_OVER, /* call again after the turns of others */
	RELAY_ENDED,     /* the end has been passed on */
	RELAY_FROM_FAILED,
	RELAY_TO_FAILED,
	RELAY_NO_MEMORY
};

void relay_init(struct relay *relay, struct stream *from, struct stream *to);
void relay_fini(struct relay *relay);

/*
 * Move bytes until both ends would block, the input has ended and that has
 * been passed on, or the turn (RELAY_TURN_BYTES) is over.  *moved is set when
 * at least one byte moved, from the input or into the output's socket.
 */
enum relay_state relay_pump(struct relay *relay, bool *moved) MUST_CHECK;

#define RELAY_TURN_BYTES (256u * 1024u)

/*
 * Read ahead, at most one buffer, while `to` is not connected yet; the bytes
 * follow those of relay_front.  Nothing is written, and an end is left to
 * relay_pump.  RELAY_WAITS unless reading failed.
 */
enum relay_state relay_read_ahead(struct relay *relay) MUST_CHECK;

/*
 * `to` accepts no more bytes, but its own direction is complete: from now on
 * the input is read and dropped, so that `from` can finish.
 */
void relay_drop(struct relay *relay);

/*
 * Room for at most `max` bytes (far less than a block) in front of the input,
 * before any of it was read; relay_commit sets their number.  NULL: no memory.
 */
uint8_t *relay_front(struct relay *relay, size_t max) MUST_CHECK;
void relay_commit(struct relay *relay, size_t count);

/* Should the event loop watch the socket of `from` for input? */
bool relay_wants_input(const struct relay *relay);

/* Should it watch the socket of `to` for room? */
bool relay_wants_output(const struct relay *relay);

#endif
