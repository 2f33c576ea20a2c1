/*
 * The process of the opener: requests in, descriptors out, until its peer
 * closes the socket.
 */
#ifndef OPENER_OPENER_PROCESS_H
#define OPENER_OPENER_PROCESS_H

#include <sys/types.h>

#include "opener/opener.h"

struct covered;

struct opener_setup {
	const struct covered *covered;
	const struct opener_user *user;
	spawn_fn *spawn; /* NULL: OPENER_SPAWN is refused */
	void *arg;
};

/* Answer requests on this socket until its peer is gone. */
void opener_serve(int socket, const struct opener_setup *setup);

/* In the forked process: end with the parent, close every descriptor but this
 * socket and the standard ones, name the process, serve, end. */
_Noreturn void opener_process_run(
    int socket, pid_t parent, const struct opener_setup *setup);

#endif
