/*
 * Sending and receiving one message with at most one descriptor.  Both
 * processes; the caller serializes.
 */
#include "opener/opener_message.h"

#include <errno.h>

#include "base/packet.h"

bool
opener_send(int socket, const void *message, size_t size, int fd)
{
	const struct packet packet = {
		.bytes = (void *)(uintptr_t)message,
		.len = size,
		.fds = &fd,
		.fd_count = fd >= 0,
	};
	bool sent;

	do
		sent = packet_send(socket, &packet);
	while (!sent && errno == EINTR);
	return sent;
}

ssize_t
opener_receive(int socket, void *message, size_t size, int *fd)
{
	struct packet packet;
	ssize_t got;
	bool is_cut;

	do {
		packet = (struct packet){ message, size, fd, 1 };
		got = packet_receive(socket, &packet, &is_cut);
	} while (got < 0 && errno == EINTR);
	if (packet.fd_count == 0)
		*fd = -1;
	return got;
}
