/*
 * The BIO between an SSL and its struct stream.  It never calls the socket
 * for single records: writes append to stream->out and leave together when
 * the stream flushes, reads are served from stream->in, which is filled by
 * recv of up to a whole block.  tls/ only; the thread of the stream.
 */
#ifndef TLS_BIO_H
#define TLS_BIO_H

#include <stdbool.h>

#include "base/attr.h"

struct stream;
struct ssl_st;

/* Give the SSL a BIO over this stream (owned by the SSL). */
bool bio_attach(struct ssl_st *ssl, struct stream *stream) MUST_CHECK;

#endif
