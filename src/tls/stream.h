/*
 * One non-blocking byte stream over a socket, plain or TLS (server side).
 * The caller never sees the difference, so both directions of a connection
 * are the same code.  No event loop inside: every call returns at once and
 * says what it waits for.
 *
 * Memory: an idle stream owns no buffer.  Ciphertext that arrived but could
 * not be used yet, and output the socket did not take, sit in blocks of the
 * thread's pool for just as long.
 *
 * Readiness: the stream remembers that the socket ran dry (a short recv, or
 * EAGAIN) and answers IO_WANT_READ without a system call until
 * stream_readable() says an event came; likewise for writing.
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
	IO_FAILED      /* stream_failure says why; only stream_fini remains */
};

enum stream_failure {
	STREAM_OK,
	STREAM_RESET,     /* ECONNRESET, EPIPE */
	STREAM_SYSTEM,    /* another errno: stream_failure_text */
	STREAM_NOT_TLS,   /* the first bytes are no TLS (HTTP, garbage) */
	STREAM_HANDSHAKE, /* the handshake failed: version, cipher, alert... */
	STREAM_CLOSED_EARLY, /* the peer left in the middle of the handshake */
	STREAM_PROTOCOL,     /* bad record after the handshake */
	STREAM_NO_MEMORY
};

/* Embedded in a connection so that it costs no allocation of its own. */
struct stream {
	int fd;             /* owned; -1: none */
	struct ssl_st *ssl; /* NULL: plain */
	struct pool *pool;  /* borrowed from the thread */
	struct buf in;      /* received, not yet decrypted (TLS) */
	struct buf out;     /* to be sent */
	bool may_read;      /* the socket may have bytes */
	bool may_write;     /* the socket may take bytes */
	uint8_t recvs_left; /* of this call (TLS): see secure.c */
	bool hold_output;   /* see stream_handshake */
	bool input_ended;   /* FIN or close_notify was read */
	bool got_notify;    /* ...and it was close_notify */
	bool got_fin;       /* FIN was read */
	bool output_ended;  /* close_notify queued / shutdown requested */
	bool fin_sent;      /* FIN is out, or is left to stream_fini */
	bool nodelay;       /* TCP_NODELAY was asked for (plain) */
	bool stapled;       /* the handshake sent an OCSP response */
	enum stream_failure failure;
	int failure_errno;
	unsigned long failure_code; /* OpenSSL error, 0: none */
	uint64_t bytes_in;          /* payload read by stream_read */
	uint64_t bytes_out;         /* payload accepted by stream_write */
};

/* What is known of a TLS stream once its handshake is done; text is static or
 * owned by the stream. */
struct stream_facts {
	const char *version; /* "TLSv1.3" */
	const char *cipher;
	const char *group; /* may be NULL */
	const char *sni;   /* may be NULL; bytes of a stranger */
	const char *alpn;  /* not terminated; alpn_len bytes; may be NULL */
	unsigned alpn_len;
	bool resumed;
	bool stapled; /* an OCSP response was sent along */

	/* The client's certificate. */
	bool client_presented;  /* in this handshake */
	bool client_in_session; /* in this one or the one it resumes */
	bool client_verified;   /* it was taken (never true without one) */

	/* The certificate it was shown; "" when resumed. */
	char key_algorithm[16];          /* "EC256", "RSA2048", "ED25519" */
	const char *signature_algorithm; /* "ecdsa-with-SHA256" */
};

/* Of a stream whose handshake is done: the client's common name (escaped for
 * nobody: bytes of a certificate we verified), "" when there is none. */
void stream_client_name(const struct stream *stream, char *out, size_t max);

/* ...and its certificate as DER; the length, 0: none, or larger than max. */
size_t stream_client_der(const struct stream *stream, uint8_t *out, size_t max);

/* Take over a connected (or connecting) non-blocking socket. */
void stream_init_plain(struct stream *stream, int fd, struct pool *pool);

/* The server must outlive the stream: the connection's service holds it. */
bool stream_init_tls(struct stream *stream, int fd, struct pool *pool,
    struct tls_server *server) MUST_CHECK; /* false: no memory; fd not taken */

/* Free, close the socket.  `reset`: end with RST instead of FIN. */
void stream_fini(struct stream *stream, bool reset);

/* An event said so. */
void stream_readable(struct stream *stream);
void stream_writable(struct stream *stream);

/*
 * The event loop reports an error of the socket: take the error from the
 * kernel and fail with it (with STREAM_RESET where there is none: both
 * directions were closed).
 */
void stream_errored(struct stream *stream);

/*
 * Before the handshake: the first bytes of the client as they are on the wire,
 * for a header that comes before TLS.  IO_DONE: at least `least` bytes are at
 * *bytes (*len of them, all that came; valid until the next call on the
 * stream); IO_WANT_READ: call again after stream_readable(); IO_FAILED: for
 * one, they will never be as many.  Nothing is consumed but by stream_skip;
 * the rest is the start of the handshake.  least: far less than a block.
 */
enum io stream_peek(struct stream *stream, size_t least, const uint8_t **bytes,
    size_t *len) MUST_CHECK;
void stream_skip(struct stream *stream, size_t count);

/* The number of the site (server.h) that the client's name led to. */
size_t stream_site(const struct stream *stream);

/*
 * Go on with the handshake (plain: IO_DONE at once).  Each flight leaves in
 * one send.  In TLS 1.3 the session ticket that follows the handshake stays
 * in `out` with hold_output set: it leaves with the first stream_write, or
 * when the caller calls stream_flush (after 20 ms of silence).
 */
enum io stream_handshake(struct stream *stream);

/*
 * What one stream_read gathers at most: four full records, which encrypted
 * again fit one block and leave in one send.
 */
#define STREAM_TURN_BYTES (64u * 1024u)

/*
 * Append what there is to `into` (which holds a block and has room),
 * gathering records, until it holds STREAM_TURN_BYTES; called again with that
 * much in it, until it has no room.  IO_DONE if at least one byte came; the
 * end or a failure met after that byte is told by the next call.  As long as
 * it answers IO_DONE there may be more for which no event will come.
 *
 * A plain stream may still be read after its stream_write failed: a peer that
 * closed without reading all may have answered first.
 */
enum io stream_read(struct stream *stream, struct buf *into);

/*
 * Take bytes from `from`, and send.  IO_DONE: all of `from` was taken and
 * nothing waits in the stream.  IO_WANT_WRITE: the socket is full; whatever
 * is still in `from` was not taken; call again.  IO_WANT_READ: see
 * stream_must_read_first.  What was sent or taken has been consumed from
 * `from` in every case.
 */
enum io stream_write(struct stream *stream, struct buf *from);

/* Send what waits.  IO_DONE: nothing waits any more. */
enum io stream_flush(struct stream *stream);

/*
 * End our direction: close_notify (TLS), then FIN once all is sent.  IO_DONE:
 * our end is out; IO_WANT_WRITE: call again.  Input stays open.
 *
 * Two things the peer cannot notice are saved.  When input has ended too, the
 * FIN is left to the close in stream_fini, which the caller does next.  And a
 * peer that has sent close_notify and FIN, and to which no byte was ever
 * written, has closed: it is sent no close_notify, and no held ticket.
 */
enum io stream_end(struct stream *stream);

/* Is output waiting for the socket (held tickets do not count)? */
bool stream_wants_write(const struct stream *stream);

/*
 * The two directions of TLS lean on each other now and then.  A stream that
 * must write first answers stream_read with IO_WANT_WRITE, whatever arrives:
 * reading makes answers of OpenSSL's own, and `out` has no room for them.
 * One that must read first takes nothing in stream_write (IO_WANT_READ),
 * though its socket has room: the peer is half-way through a message.
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

/* Why it failed, in words, for the log; valid until the next call. */
const char *stream_failure_text(
    const struct stream *stream, char *out, size_t max);

#endif
