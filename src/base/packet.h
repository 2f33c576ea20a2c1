/*
 * Packets with descriptors: one message of a pair of SOCK_SEQPACKET sockets
 * (SCM_RIGHTS, unix(7)).  Any thread; blocks as the socket does.
 */
#ifndef BASE_PACKET_H
#define BASE_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"

enum { PACKET_FDS_MAX = 253 }; /* SCM_MAX_FD of the kernel */

struct packet {
	void *bytes;
	size_t len;
	int *fds;
	size_t fd_count; /* PACKET_FDS_MAX at most */
};

/* The descriptors stay open here.  false: errno. */
bool packet_send(int socket, const struct packet *packet) MUST_CHECK;

/*
 * In: the room for bytes and for descriptors.  Out: what came; the descriptors
 * are close-on-exec, and the kernel closes those without room.  *is_cut: there
 * was no room for a part.  Returns the size of the whole message (0: the peer is
 * gone), or -1 and errno.
 */
ssize_t packet_receive(
    int socket, struct packet *packet, bool *is_cut) MUST_CHECK;

#endif
