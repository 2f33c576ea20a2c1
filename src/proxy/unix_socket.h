/*
 * A listening unix socket and the file that names it.  The file is ours as
 * long as its inode is the one we made; only then is it removed or changed.
 * Main thread.
 */
#ifndef PROXY_UNIX_SOCKET_H
#define PROXY_UNIX_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/addr.h"
#include "base/attr.h"

struct err;

struct unix_socket {
	int fd; /* -1: none */
	dev_t dev;
	ino_t ino;
};

/*
 * Bind and listen.  The file has exactly `mode` before the first client can
 * connect.  A socket file nobody listens on is replaced; anything else in the
 * way is an error.
 */
bool unix_socket_open(struct unix_socket *made, const struct addr *addr,
    unsigned mode, unsigned backlog, struct err *err) MUST_CHECK;

/* Is the file at `addr` the one we made? */
bool unix_socket_is_ours(
    const struct unix_socket *made, const struct addr *addr);

bool unix_socket_set_mode(
    const struct addr *addr, unsigned mode, struct err *err) MUST_CHECK;

/* Remove the file if it is still ours, then close.  Does nothing for fd -1. */
void unix_socket_close(struct unix_socket *made, const struct addr *addr);

#endif
