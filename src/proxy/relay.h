/*
 * One direction of a connection: from a stream, through one buffer, to a
 * stream.  A connection has two, the same code with the ends exchanged.
 * Back-pressure is nothing more than not reading while the buffer is blocked.
 * One thread.
 */
#ifndef PROXY_RELAY_H
#define PROXY_RELAY_H

#include <stdbool.h>

#include "base/buf.h"
#include "tls/stream.h"

struct relay {
	struct stream *from; /* borrowed from the connection */
	struct stream *to;
	struct buf buf;
	bool input_ended;  /* `from` said IO_END */
	bool output_ended; /* ...and `to` has been told, all bytes are out */
};

enum relay_state {
	RELAY_WAITS,     /* for an event on from or to */
	RELAY_TURN_OVER, /* more to do, but others wait: call again soon */
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
 * at least one byte moved.
 */
enum relay_state relay_pump(struct relay *relay, bool *moved);

#define RELAY_TURN_BYTES (256u * 1024u)

/* Should the event loop watch from's socket for input? */
bool relay_wants_input(const struct relay *relay);

#endif
