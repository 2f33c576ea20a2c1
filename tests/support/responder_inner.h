/*
 * Between responder.c, which owns the server, and responder_peer.c, which
 * performs the act of one client.
 */
#ifndef SUPPORT_RESPONDER_INNER_H
#define SUPPORT_RESPONDER_INNER_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include "tests/support/responder.h"

struct responder_peer {
	int fd;   /* does not block */
	SSL *ssl; /* NULL: plain */
	int stop; /* eventfds, readable from some time on: it must end */
	int go;   /* ...waiting connections may go on */
};

struct responder_read {
	char *bytes; /* owned, terminated */
	size_t len;
};

/* Wait for fd (-1: for nothing but the time).  false: time is up, or it must
 * end. */
bool responder_wait(int stop, int fd, short events, int timeout_ms);

/* false: the client is gone, or it must end. */
bool responder_peer_read(
    struct responder_peer *peer, struct responder_read *request);
void responder_peer_play(
    struct responder_peer *peer, const struct responder_act *act);

#endif
