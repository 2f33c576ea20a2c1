/*
 * A non-blocking byte stream, plain or TLS.  The stream's thread.  This file
 * has what both kinds share (system calls, readiness, ending) and the plain
 * half; stream_tls.c has the TLS half.
 *
 * A plain stream has no buffer: bytes go from the socket into the caller's
 * block and from the caller's block into the socket.
 *
 * A short count replaces the EAGAIN of the next call: after a short recv the
 * socket is dry, after a short send it is full.  The event loop is
 * level-triggered, so bytes that arrive in between are not missed.
 */
#include "tls/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "tls/stream_tls.h"

/* ---- System calls ---- */

enum io
stream_fail(struct stream *stream, enum stream_error error, int errnum)
{
	if (stream->error == STREAM_OK) {
		stream->error = error;
		stream->error_errno = errnum;
	}
	return IO_FAILED;
}

static enum io
fail_errno(struct stream *stream, int errnum)
{
	if (errnum == ECONNRESET || errnum == EPIPE)
		return stream_fail(stream, STREAM_RESET, errnum);
	return stream_fail(stream, STREAM_SYSTEM, errnum);
}

enum io
stream_recv(struct stream *stream, uint8_t *into, size_t max, size_t *got)
{
	ssize_t n;

	*got = 0;
	if (stream->got_fin)
		return IO_END;
	if (!stream->may_read)
		return IO_WANT_READ;
	do
		n = recv(stream->fd, into, max, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		*got = (size_t)n;
		stream->may_read = *got == max;
		return IO_DONE;
	}
	stream->may_read = false;
	if (n == 0) {
		stream->got_fin = true;
		return IO_END;
	}
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return IO_WANT_READ;
	return fail_errno(stream, errno);
}

static enum io
send_some(struct stream *stream, const uint8_t *bytes, size_t len, size_t *sent)
{
	ssize_t n;

	*sent = 0;
	if (!stream->may_write)
		return IO_WANT_WRITE;
	do
		n = send(stream->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0) {
		*sent = (size_t)n;
		stream->may_write = *sent == len;
		return IO_DONE;
	}
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		return fail_errno(stream, errno);
	stream->may_write = false;
	return IO_WANT_WRITE;
}

enum io
stream_send_out(struct stream *stream)
{
	enum io io = IO_DONE;
	size_t sent;

	while (io == IO_DONE && buf_len(&stream->out) > 0) {
		io = send_some(stream, buf_bytes(&stream->out),
		    buf_len(&stream->out), &sent);
		buf_consume(&stream->out, sent);
	}
	buf_rest(&stream->out, stream->pool);
	return io;
}

size_t
stream_room(const struct buf *into, size_t had)
{
	size_t room = buf_room(into), len = buf_len(into);

	if (had >= STREAM_TURN_BYTES)
		return room;
	if (len >= STREAM_TURN_BYTES)
		return 0;
	return room < STREAM_TURN_BYTES - len ? room : STREAM_TURN_BYTES - len;
}

/* ---- Life ---- */

void
stream_init_plain(struct stream *stream, int fd, struct pool *pool)
{
	/* I/O is tried before an event is waited for. */
	*stream = (struct stream){
		.fd = fd,
		.pool = pool,
		.may_read = true,
		.may_write = true,
	};
}

bool
stream_init_tls(
    struct stream *stream, int fd, struct pool *pool, struct tls_server *server)
{
	stream_init_plain(stream, fd, pool);
	if (stream_tls_open(stream, server))
		return true;
	stream->fd = -1;
	return false;
}

void
stream_fini(struct stream *stream, bool reset)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	stream_tls_close(stream);
	buf_drop(&stream->in, stream->pool);
	buf_drop(&stream->out, stream->pool);
	if (stream->fd < 0)
		return;
	/* If it fails, the peer gets a FIN instead. */
	if (reset)
		(void)setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &at_once,
		    sizeof(at_once));
	close(stream->fd);
	stream->fd = -1;
}

/* ---- Readiness ---- */

void
stream_readable(struct stream *stream)
{
	stream->may_read = true;
}

void
stream_writable(struct stream *stream)
{
	stream->may_write = true;
}

void
stream_errored(struct stream *stream)
{
	int errnum = 0;
	socklen_t len = sizeof(errnum);

	if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &errnum, &len) < 0)
		errnum = errno;
	(void)fail_errno(stream, errnum != 0 ? errnum : EPIPE);
}

/* ---- Reading and writing ---- */

enum io
stream_peek(
    struct stream *stream, size_t least, const uint8_t **bytes, size_t *len)
{
	enum io io = stream->error == STREAM_OK ? IO_DONE : IO_FAILED;
	size_t got;

	while (io == IO_DONE && buf_len(&stream->in) < least) {
		if (!buf_hold(&stream->in, stream->pool))
			return stream_fail(stream, STREAM_NO_MEMORY, 0);
		io = stream_recv(
		    stream, buf_tail(&stream->in), buf_room(&stream->in), &got);
		buf_commit(&stream->in, got);
	}
	buf_rest(&stream->in, stream->pool);
	if (io == IO_END)
		io = stream_fail(stream, STREAM_CLOSED_EARLY, 0);
	*len = buf_len(&stream->in);
	*bytes = *len > 0 ? buf_bytes(&stream->in) : NULL;
	return io;
}

void
stream_skip(struct stream *stream, size_t count)
{
	buf_consume(&stream->in, count);
	buf_rest(&stream->in, stream->pool);
}

size_t
stream_site(const struct stream *stream)
{
	return stream->ssl == NULL ? 0 : stream_tls_site(stream);
}

enum io
stream_handshake(struct stream *stream)
{
	if (stream->error != STREAM_OK)
		return IO_FAILED;
	return stream->ssl == NULL ? IO_DONE : stream_tls_handshake(stream);
}

static enum io
plain_read(struct stream *stream, struct buf *into)
{
	size_t room = stream_room(into, buf_len(into)), got;
	enum io io;

	if (room == 0)
		return IO_WANT_READ;
	io = stream_recv(stream, buf_tail(into), room, &got);
	buf_commit(into, got);
	stream->bytes_in += got;
	if (io == IO_END)
		stream->input_ended = true;
	return io;
}

/*
 * Nagle's algorithm delays only bytes behind unacknowledged ones, so a backend
 * that gets a single request never needs the call.
 */
static void
forbid_delay(struct stream *stream)
{
	int on = 1;

	if (stream->nodelay || stream->bytes_out == 0)
		return;
	/* Fails for a unix socket, which has no such delay. */
	(void)setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	stream->nodelay = true;
}

static enum io
plain_write(struct stream *stream, struct buf *from)
{
	enum io io = IO_DONE;
	size_t sent;

	forbid_delay(stream);
	while (io == IO_DONE && buf_len(from) > 0) {
		io = send_some(stream, buf_bytes(from), buf_len(from), &sent);
		buf_consume(from, sent);
		stream->bytes_out += sent;
	}
	return io;
}

enum io
stream_read(struct stream *stream, struct buf *into)
{
	if (stream->input_ended)
		return IO_END;
	if (stream->ssl == NULL)
		return plain_read(stream, into);
	if (stream->error != STREAM_OK)
		return IO_FAILED;
	return stream_tls_read(stream, into);
}

enum io
stream_write(struct stream *stream, struct buf *from)
{
	if (stream->error != STREAM_OK)
		return IO_FAILED;
	return stream->ssl == NULL ? plain_write(stream, from)
				   : stream_tls_write(stream, from);
}

enum io
stream_flush(struct stream *stream)
{
	if (stream->error != STREAM_OK)
		return IO_FAILED;
	stream->output_deferred = false;
	return stream_send_out(stream);
}

/* ---- The end ---- */

/*
 * Has the peer closed both directions?  After output, a FIN may end only the
 * peer's own direction, and it needs our close_notify to detect truncation.
 * Without output, a FIN behind the peer's close_notify means it has closed.
 */
static bool
peer_has_closed(struct stream *stream)
{
	uint8_t ignored[256]; /* RFC 8446 section 6.1: after close_notify */
	size_t got;

	if (!stream->got_notify || stream->bytes_out > 0)
		return false;
	stream->may_read = true;
	return stream_recv(stream, ignored, sizeof(ignored), &got) == IO_END;
}

static enum io
end_output(struct stream *stream)
{
	enum io io = IO_DONE;

	if (stream->ssl != NULL && peer_has_closed(stream)) {
		if (stream->output_deferred)
			buf_drop(&stream->out, stream->pool);
	} else if (stream->ssl != NULL) {
		io = stream_tls_notify(stream);
	}
	stream->output_ended = io == IO_DONE;
	return io;
}

enum io
stream_end(struct stream *stream)
{
	enum io io = IO_DONE;

	if (stream->fin_sent)
		return IO_DONE;
	if (stream->error == STREAM_OK && !stream->output_ended)
		io = end_output(stream);
	if (io == IO_DONE)
		io = stream_flush(stream);
	if (io != IO_DONE)
		return io;
	/* ENOTCONN: the peer has reset; the next read returns it. */
	if (!stream->input_ended)
		(void)shutdown(stream->fd, SHUT_WR);
	stream->fin_sent = true;
	return IO_DONE;
}

bool
stream_wants_write(const struct stream *stream)
{
	return buf_len(&stream->out) > 0 && !stream->output_deferred;
}

bool
stream_must_write_first(const struct stream *stream)
{
	return stream->ssl != NULL && stream_tls_must_write_first(stream);
}

bool
stream_must_read_first(const struct stream *stream)
{
	return stream->ssl != NULL && stream_tls_must_read_first(stream);
}

void
stream_facts(const struct stream *stream, struct stream_facts *facts)
{
	if (stream->ssl == NULL)
		*facts = (struct stream_facts){ 0 };
	else
		stream_tls_facts(stream, facts);
}
