/*
 * TCP ports of this machine for backends of tests, chosen by the kernel.
 */
#ifndef TESTS_UNIT_PROXY_PORT_H
#define TESTS_UNIT_PROXY_PORT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <criterion/criterion.h>

static inline struct sockaddr_in
port_address(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

/* A socket bound to a port; it refuses until it listens. */
static inline int
port_bind(uint16_t *port)
{
	struct sockaddr_in in = port_address(0);
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&in, len), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	*port = ntohs(in.sin_port);
	return fd;
}

/* Let it listen with a full queue: the next connect stays undecided.  The
 * sockets that fill the queue stay open. */
static inline void
port_fill(int fd, uint16_t port)
{
	struct sockaddr_in in = port_address(port);
	socklen_t len = sizeof(in);
	bool full = false;

	cr_assert_eq(listen(fd, 0), 0);
	for (int i = 0; i < 8 && !full; i++) {
		int queued = socket(
		    AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		(void)connect(queued, (struct sockaddr *)&in, len);
		full = getpeername(queued, (struct sockaddr *)&in, &len) != 0;
		in = port_address(port);
	}
	cr_assert(full);
}

#endif
