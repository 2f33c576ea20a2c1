/*
 * The TLS half of a stream.  The stream's thread.  Three decisions:
 *
 * Reading goes on while bytes are at hand and never asks for more once the
 * socket is known to be dry, so the usual request costs one recv and one
 * SSL_read.
 *
 * Writing encrypts only what is sure to fit `out`, so SSL_write never stops
 * half-way: no retry has to repeat its arguments, and everything one turn
 * produced (a held ticket in front) leaves in one send.
 *
 * One call makes a bounded number of recvs.  SSL_read returns only with
 * payload or when it wants more, so a peer that floods it with records that
 * carry none (key updates) could otherwise keep the thread to itself.
 */
#include "tls/secure.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "tls/bio.h"
#include "tls/client.h"
#include "tls/error.h"
#include "tls/server.h"
#include "tls/wire.h"

enum {
	RECORD_PLAIN = SSL3_RT_MAX_PLAIN_LENGTH,
	/* OpenSSL's bound for IV, MAC, padding and tag of any cipher. */
	RECORD_ROOM = SSL3_RT_HEADER_LENGTH + SSL3_RT_MAX_PLAIN_LENGTH +
		      SSL3_RT_MAX_ENCRYPTED_OVERHEAD,
	/* A key update and a close_notify, with room to spare. */
	SMALL_ROOM = 1024,
	RECVS_PER_CALL = 2
};

_Static_assert((STREAM_TURN_BYTES / RECORD_PLAIN) * RECORD_ROOM + SMALL_ROOM <=
		   POOL_BLOCK_SIZE,
    "one turn of plaintext must fit one block of records");

bool
secure_open(struct stream *stream, struct tls_server *server)
{
	SSL *ssl = tls_server_ssl(server);

	if (ssl == NULL || !bio_attach(ssl, stream)) {
		SSL_free(ssl);
		tls_error_clear();
		return false;
	}
	SSL_set_accept_state(ssl);
	stream->ssl = ssl;
	return true;
}

void
secure_close(struct stream *stream)
{
	SSL_free(stream->ssl);
	stream->ssl = NULL;
}

/* OpenSSL gave up: keep the reason, and let its alert leave if it can. */
static enum io
give_up(struct stream *stream, enum stream_failure failure)
{
	unsigned long code = tls_error_take();

	if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
		failure = STREAM_NO_MEMORY;
	else if (failure == STREAM_HANDSHAKE &&
		 SSL_get_state(stream->ssl) == TLS_ST_BEFORE)
		failure = STREAM_NOT_TLS; /* not even a ClientHello */
	stream->failure_code = code;
	wire_fail(stream, failure, 0);
	(void)wire_send_out(stream); /* the peer may be gone: no matter */
	return IO_FAILED;
}

static enum io
note_end(struct stream *stream, bool notify)
{
	stream->input_ended = true;
	stream->got_notify = notify;
	return IO_END;
}

/* What an SSL call that did not succeed wants; `failure` if it is lost. */
static enum io
interpret(struct stream *stream, int result, enum stream_failure failure)
{
	int why = SSL_get_error(stream->ssl, result);

	if (stream->failure != STREAM_OK)
		return IO_FAILED; /* the BIO knows more than the SSL */
	switch (why) {
	case SSL_ERROR_WANT_READ:
		return IO_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return IO_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return note_end(stream, true);
	case SSL_ERROR_SYSCALL:
		/* A bare FIN.  Whether it cuts something off only the
		 * protocol above can know (RFC 8446 section 6.1). */
		if (stream->got_fin)
			return note_end(stream, false);
		break;
	default:
		break;
	}
	return give_up(stream, failure);
}

/*
 * OpenSSL keeps its copy of an OCSP response until SSL_free.  It is sent in the
 * handshake only: keep the fact and free the copy.
 */
static void
drop_staple(struct stream *stream)
{
	unsigned char *response = NULL;

	stream->stapled = SSL_get_tlsext_status_ocsp_resp(
			      stream->ssl, &response) > 0;
	if (stream->stapled)
		SSL_set_tlsext_status_ocsp_resp(stream->ssl, NULL, 0);
}

/* The handshake is done; what it left in `out` goes now, or waits. */
static enum io
finish(struct stream *stream)
{
	drop_staple(stream);
	/* Whatever has been resumed: the policy is that of now. */
	if (!client_is_admitted(tls_site_of(stream->ssl), stream->ssl)) {
		stream->failure_code = ERR_PACK(
		    ERR_LIB_SSL, 0, SSL_R_CERTIFICATE_VERIFY_FAILED);
		return wire_fail(stream, STREAM_HANDSHAKE, 0);
	}
	/* In TLS 1.3 only a ticket can be there, and the client waits for
	 * none (RFC 8446 section 4.6.1).  In 1.2 it is our Finished. */
	if (SSL_version(stream->ssl) == TLS1_3_VERSION &&
	    buf_len(&stream->out) > 0) {
		stream->hold_output = true;
		return IO_DONE;
	}
	return wire_send_out(stream);
}

enum io
secure_handshake(struct stream *stream)
{
	enum io io, sent;
	int result;

	if (stream->hold_output)
		return IO_DONE;
	io = wire_send_out(stream);
	if (io != IO_DONE)
		return io;
	stream->recvs_left = RECVS_PER_CALL;
	tls_error_clear();
	result = SSL_do_handshake(stream->ssl);
	buf_rest(&stream->in, stream->pool);
	if (result == 1)
		return finish(stream);
	io = interpret(stream, result, STREAM_HANDSHAKE);
	if (io == IO_END)
		return wire_fail(stream, STREAM_CLOSED_EARLY, 0);
	if (io == IO_FAILED)
		return io;
	sent = wire_send_out(stream);
	return sent == IO_DONE ? io : sent;
}

/* Could SSL_read find something without a socket event? */
static bool
may_find(const struct stream *stream)
{
	return buf_len(&stream->in) > 0 || stream->may_read ||
	       SSL_pending(stream->ssl) > 0;
}

static enum io
read_some(struct stream *stream, struct buf *into, size_t max)
{
	size_t got = 0;
	enum io io;
	int result;

	tls_error_clear();
	result = SSL_read_ex(stream->ssl, buf_tail(into), max, &got);
	buf_commit(into, got);
	if (result == 1)
		return IO_DONE;
	io = interpret(stream, result, STREAM_PROTOCOL);
	/* An end half-way through a message: nothing could be written after
	 * it, for OpenSSL would wait for the other half. */
	if (io == IO_END && SSL_in_init(stream->ssl))
		return wire_fail(stream, STREAM_CLOSED_EARLY, 0);
	return io;
}

/* Reading may have produced an answer of OpenSSL's own, to a key update. */
static void
send_answers(struct stream *stream, size_t waiting)
{
	if (buf_len(&stream->out) <= waiting)
		return;
	stream->hold_output = false;
	(void)wire_send_out(stream); /* a failure is recorded */
}

enum io
secure_read(struct stream *stream, struct buf *into)
{
	size_t waiting = buf_len(&stream->out);
	size_t had = buf_len(into), room;
	enum io io = IO_DONE;

	if (secure_must_write_first(stream))
		return IO_WANT_WRITE;
	stream->recvs_left = RECVS_PER_CALL;
	while (io == IO_DONE && may_find(stream)) {
		room = wire_room(into, had);
		if (room == 0)
			break;
		io = read_some(stream, into, room);
	}
	buf_rest(&stream->in, stream->pool);
	send_answers(stream, waiting);
	stream->bytes_in += buf_len(into) - had;
	if (buf_len(into) > had)
		return IO_DONE;
	return io == IO_DONE ? IO_WANT_READ : io;
}

/* One SSL_write of as many full records as surely fit. */
static enum io
encrypt(struct stream *stream, struct buf *from)
{
	size_t len = buf_len(from), fits, taken = 0;
	int result;

	/* SSL_write would read the message to its end, and whatever end of
	 * the input is behind it; that is for secure_read to find. */
	if (secure_must_read_first(stream))
		return IO_WANT_READ;
	if (!buf_hold(&stream->out, stream->pool))
		return wire_fail(stream, STREAM_NO_MEMORY, 0);
	fits = buf_room(&stream->out) / RECORD_ROOM * RECORD_PLAIN;
	if (fits == 0)
		return IO_DONE; /* a long ticket leaves alone, first */
	if (len > fits)
		len = fits;
	tls_error_clear();
	result = SSL_write_ex(stream->ssl, buf_bytes(from), len, &taken);
	if (result != 1)
		return interpret(stream, result, STREAM_PROTOCOL);
	buf_consume(from, taken);
	stream->bytes_out += taken;
	return IO_DONE;
}

enum io
secure_write(struct stream *stream, struct buf *from)
{
	enum io io = IO_DONE;

	if (buf_len(from) == 0 || stream_wants_write(stream))
		io = stream_flush(stream);
	while (io == IO_DONE && buf_len(from) > 0) {
		io = encrypt(stream, from);
		stream->hold_output = false;
		if (io == IO_DONE)
			io = wire_send_out(stream);
	}
	return io;
}

enum io
secure_notify(struct stream *stream)
{
	enum io io;
	int result;

	if (!SSL_is_init_finished(stream->ssl))
		return IO_DONE;
	if (stream->out.data != NULL && buf_room(&stream->out) < SMALL_ROOM) {
		io = wire_send_out(stream);
		if (io != IO_DONE)
			return io;
	}
	tls_error_clear();
	result = SSL_shutdown(stream->ssl);
	return result >= 0 ? IO_DONE
			   : interpret(stream, result, STREAM_PROTOCOL);
}

bool
secure_must_write_first(const struct stream *stream)
{
	return stream_wants_write(stream) &&
	       buf_room(&stream->out) < SMALL_ROOM;
}

/* After the handshake OpenSSL is in init only within a message of the peer's
 * (or, while it wants to write, within its answer). */
bool
secure_must_read_first(const struct stream *stream)
{
	return !stream_wants_write(stream) && SSL_in_init(stream->ssl) &&
	       SSL_want_read(stream->ssl);
}

size_t
secure_site(const struct stream *stream)
{
	return tls_site_of(stream->ssl)->number;
}
