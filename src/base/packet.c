/*
 * Packets with descriptors.  Any thread.
 *
 * The room for descriptors is passed to the kernel without the padding of
 * CMSG_SPACE: into that padding it would put one descriptor more than there is
 * room for.
 */
#include "base/packet.h"

#include <string.h>
#include <sys/socket.h>

union rights {
	struct cmsghdr header; /* for its alignment */
	char bytes[CMSG_SPACE(PACKET_FDS_MAX * sizeof(int))];
};

bool
packet_send(int socket, const struct packet *packet)
{
	union rights rights;
	struct iovec part = { packet->bytes, packet->len };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	size_t size = packet->fd_count * sizeof(int);

	if (size > 0) {
		memset(&rights, 0, sizeof(rights));
		rights.header.cmsg_level = SOL_SOCKET;
		rights.header.cmsg_type = SCM_RIGHTS;
		rights.header.cmsg_len = CMSG_LEN(size);
		memcpy(CMSG_DATA(&rights.header), packet->fds, size);
		message.msg_control = rights.bytes;
		message.msg_controllen = CMSG_SPACE(size);
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) >= 0;
}

/* A packet has one part with descriptors at most. */
static void
take_fds(struct packet *packet, struct msghdr *message)
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(message);
	size_t size;

	packet->fd_count = 0;
	if (header == NULL || header->cmsg_level != SOL_SOCKET ||
	    header->cmsg_type != SCM_RIGHTS)
		return;
	size = header->cmsg_len - CMSG_LEN(0);
	memcpy(packet->fds, CMSG_DATA(header), size);
	packet->fd_count = size / sizeof(int);
}

ssize_t
packet_receive(int socket, struct packet *packet, bool *is_cut)
{
	union rights rights;
	struct iovec part = { packet->bytes, packet->len };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = rights.bytes,
		.msg_controllen = CMSG_LEN(packet->fd_count * sizeof(int)),
	};
	/* MSG_TRUNC: the size of the message also where it is cut. */
	ssize_t size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_TRUNC);

	if (size < 0) {
		packet->fd_count = 0;
		return -1;
	}
	if ((size_t)size < packet->len)
		packet->len = (size_t)size;
	take_fds(packet, &message);
	*is_cut = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
	return size;
}
