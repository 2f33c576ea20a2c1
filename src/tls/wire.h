/*
 * The system calls of a stream, and what is learnt from them: that the socket
 * ran dry or full, that the peer ended, and the first failure.  tls/ only;
 * the thread of the stream.
 */
#ifndef TLS_WIRE_H
#define TLS_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "tls/stream.h"

/*
 * Remember why the stream failed; the first failure stays, since later ones
 * are its consequences.  Returns IO_FAILED.
 */
enum io wire_fail(
    struct stream *stream, enum stream_failure failure, int errnum);

/* The same for the errno of a socket. */
enum io wire_fail_errno(struct stream *stream, int errnum);

/*
 * One recv of at most max bytes.  IO_DONE: *got > 0.  IO_END: FIN.  Without a
 * system call when the socket is known to be dry.
 */
enum io wire_recv(
    struct stream *stream, uint8_t *into, size_t max, size_t *got) MUST_CHECK;

/*
 * One send of at most len bytes.  IO_DONE: *sent > 0, perhaps less than len,
 * and then the socket is known to be full.
 */
enum io wire_send(struct stream *stream, const uint8_t *bytes, size_t len,
    size_t *sent) MUST_CHECK;

/* Send stream->out.  IO_DONE: it is empty and its block is back. */
enum io wire_send_out(struct stream *stream);

/*
 * How much one stream_read may still put into a buffer that held `had` bytes
 * when it was called (see STREAM_TURN_BYTES).
 */
size_t wire_room(const struct buf *into, size_t had);

#endif
