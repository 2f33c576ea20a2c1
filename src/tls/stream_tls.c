/*
 * The TLS half of a stream: the calls into its SSL, the BIO below the SSL, and
 * the facts of the finished handshake.  The stream's thread; the BIO method is
 * made once for the process and never changes.
 *
 * The BIO never calls the socket for a single record.  OpenSSL reads a record
 * in two steps and writes it in one: here both are copies within memory, and
 * one system call moves a whole block.
 *
 * Reading continues while bytes are at hand and stops once the socket is known
 * to be dry, so the usual request costs one recv and one SSL_read.
 *
 * Writing encrypts only what is sure to fit `out`, so SSL_write never stops
 * half-way: no retry has to repeat its arguments, and everything one turn
 * produced (a deferred ticket in front) leaves in one send.
 *
 * One call makes a bounded number of recvs.  SSL_read returns only with
 * payload or when it needs more, so a peer that sends records without payload
 * (key updates) could otherwise occupy the thread.
 */
#include "tls/stream_tls.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "tls/client_cert.h"
#include "tls/error.h"
#include "tls/tls_server.h"

/* ---- The BIO ---- */

/*
 * A flush does nothing.  OpenSSL flushes inside its handshake, where more
 * output can follow (a ticket is deferred to the first response); the stream
 * sends when SSL_do_handshake or SSL_write has returned.
 */

static BIO_METHOD *bio_method;
static pthread_once_t bio_method_once = PTHREAD_ONCE_INIT;

static enum io
refill(struct stream *stream)
{
	enum io io;
	size_t got;

	if (stream->recvs_left == 0 || (!stream->may_read && !stream->got_fin))
		return IO_WANT_READ;
	stream->recvs_left--;
	if (!buf_hold(&stream->in, stream->pool))
		return stream_fail(stream, STREAM_NO_MEMORY, 0);
	io = stream_recv(
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

/* Make room in `out`, by sending its content if it is full. */
static enum io
make_room(struct stream *stream)
{
	enum io io = IO_DONE;

	if (stream->error != STREAM_OK)
		return IO_FAILED;
	if (stream->out.data != NULL && buf_room(&stream->out) == 0)
		io = stream_send_out(stream);
	if (io != IO_DONE)
		return io;
	if (!buf_hold(&stream->out, stream->pool))
		return stream_fail(stream, STREAM_NO_MEMORY, 0);
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
	 * still answers a key update. */
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
	/* BIO_CTRL_EOF returns 0 too: the stream handles a FIN, and after an
	 * EOF the SSL would refuse to write. */
	return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static void
make_bio_method(void)
{
	BIO_METHOD *fresh = BIO_meth_new(
	    BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");

	if (fresh == NULL)
		return;
	if (BIO_meth_set_read_ex(fresh, on_read) &&
	    BIO_meth_set_write_ex(fresh, on_write) &&
	    BIO_meth_set_ctrl(fresh, on_ctrl))
		bio_method = fresh;
	else
		BIO_meth_free(fresh);
}

static bool
attach_bio(SSL *ssl, struct stream *stream)
{
	BIO *bio;

	pthread_once(&bio_method_once, make_bio_method);
	if (bio_method == NULL)
		return false;
	bio = BIO_new(bio_method);
	if (bio == NULL)
		return false;
	BIO_set_data(bio, stream);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	return true;
}

/* ---- The SSL ---- */

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
stream_tls_open(struct stream *stream, struct tls_server *server)
{
	SSL *ssl = tls_server_ssl(server);

	if (ssl == NULL || !attach_bio(ssl, stream)) {
		SSL_free(ssl);
		tls_error_clear();
		return false;
	}
	SSL_set_accept_state(ssl);
	stream->ssl = ssl;
	return true;
}

void
stream_tls_close(struct stream *stream)
{
	SSL_free(stream->ssl);
	stream->ssl = NULL;
}

/* A fatal error of OpenSSL: keep the reason, and try to send its alert. */
static enum io
give_up(struct stream *stream, enum stream_error error)
{
	unsigned long code = tls_error_take();

	if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
		error = STREAM_NO_MEMORY;
	else if (error == STREAM_HANDSHAKE &&
		 SSL_get_state(stream->ssl) == TLS_ST_BEFORE)
		error = STREAM_NOT_TLS; /* not even a ClientHello */
	stream->openssl_error = code;
	stream_fail(stream, error, 0);
	(void)stream_send_out(stream); /* the peer may have closed */
	return IO_FAILED;
}

static enum io
note_end(struct stream *stream, bool notify)
{
	stream->input_ended = true;
	stream->got_notify = notify;
	return IO_END;
}

/* The result of an SSL call that did not succeed; `error` if it was fatal. */
static enum io
interpret(struct stream *stream, int result, enum stream_error error)
{
	int why = SSL_get_error(stream->ssl, result);

	if (stream->error != STREAM_OK)
		return IO_FAILED; /* set by the BIO: more precise */
	switch (why) {
	case SSL_ERROR_WANT_READ:
		return IO_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return IO_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return note_end(stream, true);
	case SSL_ERROR_SYSCALL:
		/* A FIN without close_notify.  Only the protocol above TLS
		 * can detect a truncation (RFC 8446 section 6.1). */
		if (stream->got_fin)
			return note_end(stream, false);
		break;
	default:
		break;
	}
	return give_up(stream, error);
}

/*
 * OpenSSL keeps its copy of an OCSP response until SSL_free, but sends it only
 * in the handshake: note that it was sent and free the copy.
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

/* The handshake is done: send the rest of `out`, or defer it. */
static enum io
finish(struct stream *stream)
{
	drop_staple(stream);
	/* A resumed session must satisfy the current policy as well. */
	if (!client_cert_is_admitted(tls_site_of(stream->ssl), stream->ssl)) {
		stream->openssl_error = ERR_PACK(
		    ERR_LIB_SSL, 0, SSL_R_CERTIFICATE_VERIFY_FAILED);
		return stream_fail(stream, STREAM_HANDSHAKE, 0);
	}
	/* In TLS 1.3 `out` can contain only a ticket, which no client waits
	 * for (RFC 8446 section 4.6.1).  In 1.2 it is our Finished. */
	if (SSL_version(stream->ssl) == TLS1_3_VERSION &&
	    buf_len(&stream->out) > 0) {
		stream->output_deferred = true;
		return IO_DONE;
	}
	return stream_send_out(stream);
}

enum io
stream_tls_handshake(struct stream *stream)
{
	enum io io, sent;
	int result;

	if (stream->output_deferred)
		return IO_DONE;
	io = stream_send_out(stream);
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
		return stream_fail(stream, STREAM_CLOSED_EARLY, 0);
	if (io == IO_FAILED)
		return io;
	sent = stream_send_out(stream);
	return sent == IO_DONE ? io : sent;
}

/* Can SSL_read return bytes without a socket event? */
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
	/* An end in the middle of a handshake message: OpenSSL would wait for
	 * the rest before it writes again. */
	if (io == IO_END && SSL_in_init(stream->ssl))
		return stream_fail(stream, STREAM_CLOSED_EARLY, 0);
	return io;
}

/* Reading may have produced output of OpenSSL's own: the answer to a key
 * update. */
static void
send_answers(struct stream *stream, size_t waiting)
{
	if (buf_len(&stream->out) <= waiting)
		return;
	stream->output_deferred = false;
	(void)stream_send_out(stream); /* an error is recorded */
}

enum io
stream_tls_read(struct stream *stream, struct buf *into)
{
	size_t waiting = buf_len(&stream->out);
	size_t had = buf_len(into), room;
	enum io io = IO_DONE;

	if (stream_tls_must_write_first(stream))
		return IO_WANT_WRITE;
	stream->recvs_left = RECVS_PER_CALL;
	while (io == IO_DONE && may_find(stream)) {
		room = stream_room(into, had);
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

/* One SSL_write of as many full records as fit in any case. */
static enum io
encrypt(struct stream *stream, struct buf *from)
{
	size_t len = buf_len(from), fits, taken = 0;
	int result;

	/* SSL_write would read the rest of the message, and an end of the
	 * input behind it; stream_tls_read has to return that end. */
	if (stream_tls_must_read_first(stream))
		return IO_WANT_READ;
	if (!buf_hold(&stream->out, stream->pool))
		return stream_fail(stream, STREAM_NO_MEMORY, 0);
	fits = buf_room(&stream->out) / RECORD_ROOM * RECORD_PLAIN;
	if (fits == 0)
		return IO_DONE; /* a long ticket is sent alone, first */
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
stream_tls_write(struct stream *stream, struct buf *from)
{
	enum io io = IO_DONE;

	if (buf_len(from) == 0 || stream_wants_write(stream))
		io = stream_flush(stream);
	while (io == IO_DONE && buf_len(from) > 0) {
		io = encrypt(stream, from);
		stream->output_deferred = false;
		if (io == IO_DONE)
			io = stream_send_out(stream);
	}
	return io;
}

enum io
stream_tls_notify(struct stream *stream)
{
	enum io io;
	int result;

	if (!SSL_is_init_finished(stream->ssl))
		return IO_DONE;
	if (stream->out.data != NULL && buf_room(&stream->out) < SMALL_ROOM) {
		io = stream_send_out(stream);
		if (io != IO_DONE)
			return io;
	}
	tls_error_clear();
	result = SSL_shutdown(stream->ssl);
	return result >= 0 ? IO_DONE
			   : interpret(stream, result, STREAM_PROTOCOL);
}

bool
stream_tls_must_write_first(const struct stream *stream)
{
	return stream_wants_write(stream) &&
	       buf_room(&stream->out) < SMALL_ROOM;
}

/* After the handshake SSL_in_init is true only inside a handshake message of
 * the peer (or, while the SSL wants to write, inside its answer). */
bool
stream_tls_must_read_first(const struct stream *stream)
{
	return !stream_wants_write(stream) && SSL_in_init(stream->ssl) &&
	       SSL_want_read(stream->ssl);
}

size_t
stream_tls_site(const struct stream *stream)
{
	return tls_site_of(stream->ssl)->number;
}

/* ---- Facts ---- */

static const char *
group_name(SSL *ssl)
{
	int id = (int)SSL_get_negotiated_group(ssl);

	return id == 0 ? NULL : SSL_group_to_name(ssl, id);
}

/* A resumed handshake sends no certificate. */
static void
describe_certificate(SSL *ssl, struct stream_facts *facts)
{
	X509 *certificate = facts->resumed ? NULL : SSL_get_certificate(ssl);

	facts->signature_algorithm = "";
	if (certificate == NULL)
		return;
	identity_print_key(X509_get0_pubkey(certificate), facts->key_algorithm,
	    sizeof(facts->key_algorithm));
	facts->signature_algorithm = OBJ_nid2sn(
	    X509_get_signature_nid(certificate));
}

static void
describe_client(SSL *ssl, struct stream_facts *facts)
{
	struct client_cert_facts client;

	client_cert_facts(ssl, &client);
	facts->client_presented = client.presented;
	facts->client_in_session = client.in_session;
	facts->client_verified = client.in_session &&
				 client.verify_result == X509_V_OK;
}

void
stream_tls_facts(const struct stream *stream, struct stream_facts *facts)
{
	SSL *ssl = stream->ssl;
	const unsigned char *alpn = NULL;
	unsigned alpn_len = 0;

	SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
	*facts = (struct stream_facts){
		.version = SSL_get_version(ssl),
		.cipher = SSL_get_cipher_name(ssl),
		.group = group_name(ssl),
		.sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name),
		.alpn = (const char *)alpn,
		.alpn_len = alpn_len,
		.resumed = SSL_session_reused(ssl) == 1,
		.stapled = stream->stapled,
		.status_requested = SSL_get_tlsext_status_type(ssl) ==
				    TLSEXT_STATUSTYPE_ocsp,
	};
	describe_certificate(ssl, facts);
	describe_client(ssl, facts);
}

static bool
lacks_certificate(const struct stream *stream)
{
	unsigned long code = stream->openssl_error;

	return ERR_GET_LIB(code) == ERR_LIB_SSL &&
	       ERR_GET_REASON(code) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
}

bool
stream_is_check(const struct stream *stream)
{
	const unsigned char *alpn = NULL;
	unsigned len = 0;

	if (stream->ssl == NULL)
		return false;
	if (stream->error != STREAM_OK && !lacks_certificate(stream))
		return false;
	SSL_get0_alpn_selected(stream->ssl, &alpn, &len);
	return len == strlen(STREAM_CHECK_PROTOCOL) &&
	       memcmp(alpn, STREAM_CHECK_PROTOCOL, len) == 0;
}

bool
stream_is_unstapled(const struct stream *stream)
{
	unsigned long code = stream->openssl_error;

	/* The status callback is the only extension callback that fails. */
	return stream->ssl != NULL && ERR_GET_LIB(code) == ERR_LIB_SSL &&
	       ERR_GET_REASON(code) == SSL_R_CLIENTHELLO_TLSEXT;
}

void
stream_client_name(const struct stream *stream, char *out, size_t max)
{
	client_cert_common_name(stream->ssl, out, max);
}

size_t
stream_client_der(const struct stream *stream, uint8_t *out, size_t max)
{
	return client_cert_der(stream->ssl, out, max);
}
