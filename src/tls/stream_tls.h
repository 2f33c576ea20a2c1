/*
 * What stream.c and stream_tls.c provide to each other.  tls/ only; the thread
 * of the stream.
 */
#ifndef TLS_STREAM_TLS_H
#define TLS_STREAM_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "tls/stream.h"

struct tls_server;

/* ---- stream.c: system calls and the first error ---- */

/*
 * Record the error; the first one stays, since later ones are its
 * consequences.  errnum: 0 where there is none.  Returns IO_FAILED.
 */
enum io stream_fail(struct stream *stream, enum stream_error error, int errnum);

/*
 * One recv of at most max bytes.  IO_DONE: *got > 0.  IO_END: FIN.  Without a
 * system call when the socket is known to be dry.
 */
enum io stream_recv(
    struct stream *stream, uint8_t *into, size_t max, size_t *got) MUST_CHECK;

/* Send stream->out.  IO_DONE: it is empty and its block is returned. */
enum io stream_send_out(struct stream *stream);

/*
 * How much one stream_read may still put into a buffer that contained `had`
 * bytes when it was called (see STREAM_TURN_BYTES).
 */
size_t stream_room(const struct buf *into, size_t had);

/*
 * ---- stream_tls.c: the TLS half ----
 *
 * stream.c has dealt with a plain stream, a recorded failure and a recorded
 * end before it calls these.
 */

/* Give the stream its SSL.  false: no memory. */
bool stream_tls_open(
    struct stream *stream, struct tls_server *server) MUST_CHECK;
void stream_tls_close(struct stream *stream); /* no SSL: nothing */

/* The contracts of stream_handshake, stream_read and stream_write. */
enum io stream_tls_handshake(struct stream *stream) MUST_CHECK;
enum io stream_tls_read(struct stream *stream, struct buf *into) MUST_CHECK;
enum io stream_tls_write(struct stream *stream, struct buf *from) MUST_CHECK;

/* Queue close_notify in `out`.  IO_DONE: it is there, or not needed. */
enum io stream_tls_notify(struct stream *stream) MUST_CHECK;

/* See stream.h. */
bool stream_tls_must_write_first(const struct stream *stream);
bool stream_tls_must_read_first(const struct stream *stream);
size_t stream_tls_site(const struct stream *stream);
void stream_tls_facts(const struct stream *stream, struct stream_facts *facts);

#endif
