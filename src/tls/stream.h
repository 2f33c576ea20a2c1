/*
 * A non-blocking byte stream over a socket, plain or TLS (server side).  Both
 * kinds have the same interface, so both directions of a connection are the
 * same code.  A stream has no event loop: every call returns at once, and its
 * result names the event to wait for.
 *
 * Memory: an idle stream owns no buffer.  Blocks of the thread's pool are used
 * only while there is ciphertext that cannot be decrypted yet, or output that
 * the socket has not taken.
 *
 * Readiness: once a recv was short or ended with EAGAIN, the stream returns
 * IO_WANT_READ without a system call until stream_readable() is called;
 * likewise for writing.
 *
 * One thread from stream_init to stream_fini.
 */
#ifndef TLS_STREAM_H
#define TLS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"

struct pool;
struct tls_server;
struct ssl_st;

enum io {
	IO_DONE,       /* at least one byte moved, or the step is complete */
	IO_WANT_READ,  /* call again after stream_readable() */
	IO_WANT_WRITE, /* call again after stream_writable() */
	IO_END,        /* the peer ended its direction (close_notify or FIN) */
	IO_FAILED      /* stream.error is set; call stream_fini */
};

enum stream_error {
	STREAM_OK,
	STREAM_RESET,     /* ECONNRESET, EPIPE */
	STREAM_SYSTEM,    /* another errno: stream_error_text */
	STREAM_NOT_TLS,   /* the first bytes are not TLS (HTTP, garbage) */
	STREAM_HANDSHAKE, /* the handshake failed: version, cipher, alert... */
	STREAM_CLOSED_EARLY, /* the peer closed during the handshake */
	STREAM_PROTOCOL,     /* bad record after the handshake */
	STREAM_NO_MEMORY
};

/* Embedded in a connection: no allocation of its own. */
struct stream {
	int fd;               /* owned; -1: none */
	struct ssl_st *ssl;   /* NULL: plain */
	struct pool *pool;    /* borrowed from the thread */
	struct buf in;        /* received, not yet decrypted (TLS) */
	struct buf out;       /* to be sent */
	bool may_read;        /* the socket may have bytes */
	bool may_write;       /* the socket may take bytes */
	uint8_t recvs_left;   /* of this call (TLS): see stream_tls.c */
	bool output_deferred; /* see stream_handshake */
	bool input_ended;     /* FIN or close_notify was read */
	bool got_notify;      /* ...and it was close_notify */
	bool got_fin;         /* FIN was read */
	bool output_ended;    /* close_notify queued / shutdown requested */
	bool fin_sent;        /* FIN was sent, or is left to stream_fini */
	bool nodelay;         /* TCP_NODELAY was set (plain) */
	bool stapled;         /* the handshake sent an OCSP response */
	enum stream_error error;
	int error_errno;
	unsigned long openssl_error; /* OpenSSL error, 0: none */
	uint64_t bytes_in;           /* payload read by stream_read */
	uint64_t bytes_out;          /* payload accepted by stream_write */
};

/* The facts of a finished handshake; text is static or owned by the stream. */
struct stream_facts {
	const char *version; /* "TLSv1.3" */
	const char *cipher;
	const char *group; /* may be NULL */
	const char *sni;   /* may be NULL; unchecked bytes of the client */
	const char *alpn;  /* not terminated; alpn_len bytes; may be NULL */
	unsigned alpn_len;
	bool resumed;
	bool stapled;          /* an OCSP response was sent */
	bool status_requested; /* the client sent status_request */

	/* The client's certificate. */
	bool client_presented;  /* in this handshake */
	bool client_in_session; /* in this one or the one it resumes */
	bool client_verified;   /* and accepted (never true without one) */

	/* The certificate sent to the client; "" when resumed. */
	char key_algorithm[16];          /* "EC256", "RSA2048", "ED25519" */
	const char *signature_algorithm; /* "ecdsa-with-SHA256" */
};

/* After the handshake: the common name of the client's certificate, not
 * escaped; "": none. */
void stream_client_name(const struct stream *stream, char *out, size_t max);

/* The client's certificate as DER.  Returns its length; 0: none, or larger than
 * max. */
size_t stream_client_der(const struct stream *stream, uint8_t *out, size_t max);

/* Take over a connected (or connecting) non-blocking socket. */
void stream_init_plain(struct stream *stream, int fd, struct pool *pool);

/* The server must outlive the stream (the connection's service references
 * it). */
bool stream_init_tls(struct stream *stream, int fd, struct pool *pool,
    struct tls_server *server) MUST_CHECK; /* false: no memory; fd not taken */

/* Free everything and close the socket.  reset: with RST instead of FIN. */
void stream_fini(struct stream *stream, bool reset);

/* The event loop reports that the socket is readable or writable. */
void stream_readable(struct stream *stream);
void stream_writable(struct stream *stream);

/*
 * The event loop reports an error of the socket: read it from the kernel and
 * fail with it.  Without one both directions were closed: fail with
 * STREAM_RESET.
 */
void stream_errored(struct stream *stream);

/*
 * Before the handshake: the first bytes of the client as they are on the wire,
 * for a header in front of TLS.  IO_DONE: *bytes has *len bytes, at least
 * `least` and all that have arrived, valid until the next call on the stream.
 * IO_WANT_READ: call again after stream_readable().  IO_FAILED: also when the
 * client ended before `least` bytes.  Only stream_skip consumes bytes; the rest
 * is the start of the handshake.  least: far less than a block.
 */
enum io stream_peek(struct stream *stream, size_t least, const uint8_t **bytes,
    size_t *len) MUST_CHECK;
void stream_skip(struct stream *stream, size_t count);

/* The number of the site (server.h) chosen by the client's SNI; plain: 0. */
size_t stream_site(const struct stream *stream);

/*
 * Continue the handshake (plain: IO_DONE at once).  Each flight leaves in one
 * send.  In TLS 1.3 the session ticket that follows the handshake stays in
 * `out` with output_deferred set: it leaves with the first stream_write, or
 * when the caller calls stream_flush (after 20 ms without output).
 */
enum io stream_handshake(struct stream *stream);

/*
 * The most that one stream_read gathers: four full records, which encrypted
 * again fit one block and leave in one send.
 */
#define STREAM_TURN_BYTES (64u * 1024u)

/*
 * Append the available bytes to `into` (which has a block and room), gathering
 * records, until it contains STREAM_TURN_BYTES; if it contained that much
 * before, until it has no room.  IO_DONE: at least one byte was appended; an
 * end or an error behind it is returned by the next call.  After IO_DONE there
 * may be more bytes for which no event comes: call again.
 *
 * A plain stream can be read after its stream_write failed: a peer that closed
 * without reading everything may have answered before.
 */
enum io stream_read(struct stream *stream, struct buf *into);

/*
 * Send the bytes of `from`; bytes that are sent or encrypted are consumed from
 * it.  IO_DONE: `from` is empty and the stream has no output left.
 * IO_WANT_WRITE: the socket is full; call again with the rest of `from`.
 * IO_WANT_READ: see stream_must_read_first.
 */
enum io stream_write(struct stream *stream, struct buf *from);

/* Send all output.  IO_DONE: there is none left. */
enum io stream_flush(struct stream *stream);

/*
 * End the output: close_notify (TLS), then FIN once everything is sent.
 * IO_DONE: the end was sent; IO_WANT_WRITE: call again.  Input stays open.
 *
 * Two sends are left out because the peer cannot notice them.  When input has
 * ended too, the FIN is left to the close in stream_fini, which the caller
 * calls next.  A peer that has sent close_notify and FIN, and that no byte was
 * written to, has closed: it gets neither close_notify nor the deferred ticket.
 */
enum io stream_end(struct stream *stream);

/* Is there output for the socket (a deferred ticket does not count)? */
bool stream_wants_write(const struct stream *stream);

/*
 * One direction of TLS can block the other.  While a stream must write first,
 * stream_read returns IO_WANT_WRITE: reading can produce output of OpenSSL's
 * own (the answer to a key update), and `out` has no room for it.  While it
 * must read first, stream_write returns IO_WANT_READ although the socket has
 * room: the peer has sent half of a handshake message.
 */
bool stream_must_write_first(const struct stream *stream);
bool stream_must_read_first(const struct stream *stream);

void stream_facts(const struct stream *stream, struct stream_facts *facts);

/*
 * The ALPN identifier that `clinch healthcheck` offers, alone.  A connection
 * with it ends after the handshake, as one with acme-tls/1 does (RFC 8737
 * section 4): no backend is connected to.
 */
#define STREAM_CHECK_PROTOCOL "clinch-healthcheck"

/* After the handshake: it is such a connection.  After a failed one: it is, and
 * nothing is wrong but that a client certificate is required. */
bool stream_is_check(const struct stream *stream);

/* After a failed handshake: the policy on staples ended it, because the client
 * requested one and there was none. */
bool stream_is_unstapled(const struct stream *stream);

/* The error as text for the log, in `out`, which is returned. */
const char *stream_error_text(
    const struct stream *stream, char *out, size_t max);

#endif
