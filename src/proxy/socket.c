/*
 * The TCP options that listening and connecting sockets share.
 * Any thread; no state.
 */
#include "proxy/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* The longest the kernel takes: MAX_TCP_KEEPIDLE. */
#define KEEPIDLE_MAX_S 32767

static void
set(int fd, int level, int option, int value)
{
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

void
socket_set_nodelay(int fd)
{
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

void
socket_set_keepalive(int fd, uint32_t keepalive_ms)
{
	uint32_t seconds = keepalive_ms / 1000 + (keepalive_ms % 1000 != 0);

	set(fd, SOL_SOCKET, SO_KEEPALIVE, seconds > 0);
	if (seconds > KEEPIDLE_MAX_S)
		seconds = KEEPIDLE_MAX_S;
	if (seconds > 0)
		set(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)seconds);
}
