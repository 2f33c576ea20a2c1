/*
 * Threads that make handshakes with a server's context until they are stopped,
 * each with a client of its own.
 */
#ifndef RACE_SHAKER_H
#define RACE_SHAKER_H

#include <stdatomic.h>
#include <stdbool.h>

#include <openssl/ssl.h>

#include "base/thread.h"

struct shaker {
	struct thread thread;
	SSL_CTX *server; /* borrowed */
	atomic_bool stop;
	atomic_uint shaken;  /* handshakes, refused ones as well */
	atomic_uint stapled; /* of them */
};

/* false: the thread does not start. */
bool shaker_start(struct shaker *shaker, SSL_CTX *server);

/* Wait until it has done `count` more. */
void shaker_watch(struct shaker *shaker, unsigned count);

void shaker_stop(struct shaker *shaker); /* and join */

#endif
