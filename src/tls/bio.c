/*
 * The BIO between an SSL and its stream.  The stream's thread; the method
 * itself is made once for the process and never changes.  OpenSSL reads a
 * record in two steps and writes it in one: here both are copies within
 * memory, and the kernel is crossed once for a whole block.
 *
 * A flush does nothing: OpenSSL flushes inside its handshake, but only the
 * stream knows whether more is about to follow (a ticket waits for the first
 * response), so the stream sends once SSL_do_handshake or SSL_write is back.
 */
#include "tls/bio.h"

#include <pthread.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "tls/stream.h"
#include "tls/wire.h"

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static enum io
refill(struct stream *stream)
{
	enum io io;
	size_t got;

	if (stream->recvs_left == 0 || (!stream->may_read && !stream->got_fin))
		return IO_WANT_READ;
	stream->recvs_left--;
	if (!buf_hold(&stream->in, stream->pool))
		return wire_fail(stream, STREAM_NO_MEMORY, 0);
	io = wire_recv(
	    stream, buf_tail(&stream->in), buf_room(&stream->in), &got);
	buf_commit(&stream->in, got);
	return io;
}

static int
on_read(BIO *bio, char *into, size_t max, size_t *taken)
{
	struct stream *stream = BIO_get_data(bio);
	enum io io = IO_DONE;
	size_t n;

	BIO_clear_retry_flags(bio);
	*taken = 0;
	if (buf_len(&stream->in) == 0)
		io = refill(stream);
	if (io == IO_WANT_READ)
		BIO_set_retry_read(bio);
	if (io != IO_DONE)
		return io == IO_END ? 0 : -1;
	n = buf_len(&stream->in) < max ? buf_len(&stream->in) : max;
	memcpy(into, buf_bytes(&stream->in), n);
	buf_consume(&stream->in, n);
	*taken = n;
	return 1;
}

/* Room in `out`: what is there leaves first if it has to. */
static enum io
make_room(struct stream *stream)
{
	enum io io = IO_DONE;

	if (stream->failure != STREAM_OK)
		return IO_FAILED;
	if (stream->out.data != NULL && buf_room(&stream->out) == 0)
		io = wire_send_out(stream);
	if (io != IO_DONE)
		return io;
	if (!buf_hold(&stream->out, stream->pool))
		return wire_fail(stream, STREAM_NO_MEMORY, 0);
	return IO_DONE;
}

static int
on_write(BIO *bio, const char *bytes, size_t len, size_t *taken)
{
	struct stream *stream = BIO_get_data(bio);
	enum io io;
	size_t n;

	BIO_clear_retry_flags(bio);
	*taken = len;
	/* RFC 8446 section 6.1: nothing follows close_notify, but OpenSSL
	 * would still answer a key update. */
	if (stream->output_ended)
		return 1;
	*taken = 0;
	io = make_room(stream);
	if (io == IO_WANT_WRITE)
		BIO_set_retry_write(bio);
	if (io != IO_DONE)
		return -1;
	n = buf_room(&stream->out) < len ? buf_room(&stream->out) : len;
	memcpy(buf_tail(&stream->out), bytes, n);
	buf_commit(&stream->out, n);
	*taken = n;
	return 1;
}

static long
on_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	/* EOF is answered with 0 too: a FIN is for the stream to judge, and
	 * an SSL told of it would refuse to write from then on. */
	return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static void
make_method(void)
{
	BIO_METHOD *fresh = BIO_meth_new(
	    BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");

	if (fresh == NULL)
		return;
	if (BIO_meth_set_read_ex(fresh, on_read) &&
	    BIO_meth_set_write_ex(fresh, on_write) &&
	    BIO_meth_set_ctrl(fresh, on_ctrl))
		method = fresh;
	else
		BIO_meth_free(fresh);
}

bool
bio_attach(struct ssl_st *ssl, struct stream *stream)
{
	BIO *bio;

	pthread_once(&method_once, make_method);
	if (method == NULL)
		return false;
	bio = BIO_new(method);
	if (bio == NULL)
		return false;
	BIO_set_data(bio, stream);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	return true;
}
