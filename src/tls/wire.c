/*
 * recv and send for a stream.  The stream's thread.  A short count is taken
 * as the answer to the question the next call would ask: after a short recv
 * the socket is dry, after a short send it is full, so the EAGAIN that would
 * follow is never fetched from the kernel.  The event loop is level-triggered,
 * so bytes that arrive in between are not missed.
 */
#include "tls/wire.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/buf.h"

enum io
wire_fail(struct stream *stream, enum stream_failure failure, int errnum)
{
	if (stream->failure == STREAM_OK) {
		stream->failure = failure;
		stream->failure_errno = errnum;
	}
	return IO_FAILED;
}

enum io
wire_fail_errno(struct stream *stream, int errnum)
{
	if (errnum == ECONNRESET || errnum == EPIPE)
		return wire_fail(stream, STREAM_RESET, errnum);
	return wire_fail(stream, STREAM_SYSTEM, errnum);
}

enum io
wire_recv(struct stream *stream, uint8_t *into, size_t max, size_t *got)
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
	return wire_fail_errno(stream, errno);
}

enum io
wire_send(struct stream *stream, const uint8_t *bytes, size_t len, size_t *sent)
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
		return wire_fail_errno(stream, errno);
	stream->may_write = false;
	return IO_WANT_WRITE;
}

enum io
wire_send_out(struct stream *stream)
{
	enum io io = IO_DONE;
	size_t sent;

	while (io == IO_DONE && buf_len(&stream->out) > 0) {
		io = wire_send(stream, buf_bytes(&stream->out),
		    buf_len(&stream->out), &sent);
		buf_consume(&stream->out, sent);
	}
	buf_rest(&stream->out, stream->pool);
	return io;
}

size_t
wire_room(const struct buf *into, size_t had)
{
	size_t room = buf_room(into), len = buf_len(into);

	if (had >= STREAM_TURN_BYTES)
		return room;
	if (len >= STREAM_TURN_BYTES)
		return 0;
	return room < STREAM_TURN_BYTES - len ? room : STREAM_TURN_BYTES - len;
}
