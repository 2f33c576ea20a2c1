/*
 * A request to the admin endpoint of a running process, for the commands.  The
 * calling thread; blocks.
 */
#ifndef ADMIN_CLIENT_H
#define ADMIN_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"

struct err;

struct client_answer {
	long status; /* of HTTP */
	char *body;  /* terminated; client_answer_free */
	size_t len;
};

/*
 * The address of [admin] listen to use: a Unix socket if there is one, because
 * it accepts every request.  NULL: there is none that a client can find (no
 * key, or port 0).
 */
const struct config_accept *client_find(const struct config *config);

/*
 * Send "GET" or "POST" for this path and query.  A socket that listens on every
 * address is connected to on the loopback.  false: *err names the address and
 * the cause; there was no HTTP answer within timeout_ms.
 */
bool client_request(const struct config_accept *listen, const char *method,
    const char *target, uint32_t timeout_ms, struct client_answer *answer,
    struct err *err) MUST_CHECK;
void client_answer_free(struct client_answer *answer); /* zeroed: fine */

/* Append "certificate=VALUE" to the target, percent-encoded; free() it.  NULL:
 * no memory. */
char *client_target(const char *path, const char *certificate) MUST_CHECK;

#endif
