/*
 * The plaintext service behind every proxy that is measured: one thread, one
 * epoll set, on a port of the kernel's choosing that it prints.  The first
 * byte of a connection decides for its whole life: 'e' sends back what comes
 * ('e' itself included), 's' discards and counts, 'd' sends without end.  It
 * ends with its standard input and answers each line of it with its counters.
 * The hard decision: received bytes are dropped inside the kernel
 * (MSG_TRUNC), so that the sink costs as little as a service can.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	EVENTS = 64,
	ECHO_SIZE = 64 * 1024,
	CHUNK = 256 * 1024, /* sent by a source or dropped by a sink at once */
	CHUNKS_PER_TURN = 4,
	ACCEPTS_PER_TURN = 64,
	PEERS = 64 * 1024, /* the limit of descriptors */
};

struct peer {
	int fd;
	char role; /* 0 until the first byte has come */
	size_t held;
	size_t sent;
	unsigned char *rest; /* of an echo that the socket did not take */
};

struct backend {
	int epoll;
	int listener;
	uint64_t open;
	uint64_t accepted;
	uint64_t received; /* by sinks */
	uint64_t sent;     /* by sources */
	unsigned char buffer[CHUNK];
	struct peer peers[PEERS]; /* by descriptor */
};

static bool
watch(struct backend *b, int op, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	return epoll_ctl(b->epoll, op, fd, &ev) == 0;
}

static void
peer_close(struct backend *b, struct peer *p)
{
	close(p->fd);
	free(p->rest);
	*p = (struct peer){ .fd = -1 };
	b->open--;
}

/* True when the connection goes on: the kernel returned EAGAIN. */
static bool
only_busy(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static bool
hold(struct backend *b, struct peer *p, const unsigned char *from, size_t n)
{
	if (!p->rest)
		p->rest = malloc(ECHO_SIZE);
	if (!p->rest)
		return false;
	memcpy(p->rest, from, n);
	p->held = n;
	p->sent = 0;
	return watch(b, EPOLL_CTL_MOD, p->fd, EPOLLOUT);
}

static bool
flush_rest(struct backend *b, struct peer *p)
{
	ssize_t n = send(p->fd, p->rest + p->sent, p->held - p->sent, 0);

	if (n < 0)
		return only_busy(n);
	p->sent += (size_t)n;
	if (p->sent < p->held)
		return true;
	p->held = 0;
	return watch(b, EPOLL_CTL_MOD, p->fd, EPOLLIN);
}

static bool
echo_bytes(struct backend *b, struct peer *p, size_t n)
{
	ssize_t sent = send(p->fd, b->buffer, n, 0);

	if (sent < 0 && !only_busy(sent))
		return false;
	if (sent < 0)
		sent = 0;
	if ((size_t)sent == n)
		return true;
	return hold(b, p, b->buffer + sent, n - (size_t)sent);
}

static bool
echo_step(struct backend *b, struct peer *p)
{
	ssize_t n;

	if (p->held)
		return flush_rest(b, p);
	n = recv(p->fd, b->buffer, ECHO_SIZE, 0);
	if (n <= 0)
		return only_busy(n);
	return echo_bytes(b, p, (size_t)n);
}

static bool
sink_step(struct backend *b, struct peer *p)
{
	for (int i = 0; i < CHUNKS_PER_TURN; i++) {
		ssize_t n = recv(p->fd, b->buffer, CHUNK, MSG_TRUNC);

		if (n <= 0)
			return only_busy(n);
		b->received += (uint64_t)n;
		if (n < CHUNK)
			break;
	}
	return true;
}

static bool
source_step(struct backend *b, struct peer *p)
{
	for (int i = 0; i < CHUNKS_PER_TURN; i++) {
		ssize_t n = send(p->fd, b->buffer, CHUNK, 0);

		if (n < 0)
			return only_busy(n);
		b->sent += (uint64_t)n;
		if (n < CHUNK)
			break;
	}
	return true;
}

static bool
first_step(struct backend *b, struct peer *p)
{
	ssize_t n = recv(p->fd, b->buffer, ECHO_SIZE, 0);

	if (n <= 0)
		return only_busy(n);
	p->role = (char)b->buffer[0];
	switch (p->role) {
	case 'e':
		return echo_bytes(b, p, (size_t)n);
	case 's':
		b->received += (uint64_t)n;
		return true;
	case 'd':
		return watch(b, EPOLL_CTL_MOD, p->fd, EPOLLOUT);
	default:
		return false;
	}
}

static bool
peer_step(struct backend *b, struct peer *p)
{
	switch (p->role) {
	case 'e':
		return echo_step(b, p);
	case 's':
		return sink_step(b, p);
	case 'd':
		return source_step(b, p);
	default:
		return first_step(b, p);
	}
}

static void
accept_some(struct backend *b)
{
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(
		    b->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		if (fd >= PEERS) {
			close(fd);
			return;
		}
		b->peers[fd] = (struct peer){ .fd = fd };
		b->open++;
		b->accepted++;
		if (!watch(b, EPOLL_CTL_ADD, fd, EPOLLIN))
			peer_close(b, &b->peers[fd]);
	}
}

static bool
answer_questions(struct backend *b)
{
	char line[256];
	ssize_t n = read(STDIN_FILENO, line, sizeof line);

	for (ssize_t i = 0; i < n; i++)
		if (line[i] == '\n')
			printf("open=%" PRIu64 " accepted=%" PRIu64
			       " received=%" PRIu64 " sent=%" PRIu64 "\n",
			    b->open, b->accepted, b->received, b->sent);
	fflush(stdout);
	return n > 0;
}

static void
run(struct backend *b)
{
	struct epoll_event ev[EVENTS];
	bool running = true;

	while (running) {
		int n = epoll_wait(b->epoll, ev, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;

			if (fd == STDIN_FILENO)
				running = answer_questions(b);
			else if (fd == b->listener)
				accept_some(b);
			else if (!peer_step(b, &b->peers[fd]))
				peer_close(b, &b->peers[fd]);
		}
	}
}

/* The port got, or 0.  Accepted sockets inherit TCP_NODELAY. */
static unsigned
open_listener(struct backend *b)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof at;
	int one = 1;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	b->listener = socket(
	    AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (b->listener < 0)
		return 0;
	setsockopt(b->listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (bind(b->listener, (struct sockaddr *)&at, len) < 0 ||
	    listen(b->listener, 4096) < 0 ||
	    getsockname(b->listener, (struct sockaddr *)&at, &len) < 0)
		return 0;
	return ntohs(at.sin_port);
}

int
main(void)
{
	struct backend *b = calloc(1, sizeof *b);
	unsigned port = b ? open_listener(b) : 0;

	signal(SIGPIPE, SIG_IGN);
	if (b)
		b->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!port || b->epoll < 0 ||
	    !watch(b, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN) ||
	    !watch(b, EPOLL_CTL_ADD, b->listener, EPOLLIN)) {
		fputs("backend: cannot listen on 127.0.0.1\n", stderr);
		free(b);
		return 1;
	}
	printf("port=%u\n", port);
	fflush(stdout);
	run(b);
	free(b);
	return 0;
}
