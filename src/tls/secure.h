/*
 * The TLS half of a stream: the calls into the SSL object and what their
 * answers mean.  stream.c has already dealt with the plain case, the recorded
 * failure and the recorded end.  tls/ only; the thread of the stream.
 */
#ifndef TLS_SECURE_H
#define TLS_SECURE_H

#include <stdbool.h>

#include "base/attr.h"
#include "tls/stream.h"

struct tls_server;

/* Give the stream its SSL.  false: no memory. */
bool secure_open(struct stream *stream, struct tls_server *server) MUST_CHECK;
void secure_close(struct stream *stream); /* no SSL: nothing */

/* The contracts of stream_handshake, stream_read and stream_write. */
enum io secure_handshake(struct stream *stream) MUST_CHECK;
enum io secure_read(struct stream *stream, struct buf *into) MUST_CHECK;
enum io secure_write(struct stream *stream, struct buf *from) MUST_CHECK;

/* Queue close_notify in `out`.  IO_DONE: it is there, or not needed. */
enum io secure_notify(struct stream *stream) MUST_CHECK;

/* See stream.h. */
bool secure_must_write_first(const struct stream *stream);
bool secure_must_read_first(const struct stream *stream);

/* See stream.h. */
size_t secure_site(const struct stream *stream);
void secure_facts(const struct stream *stream, struct stream_facts *facts);

#endif
