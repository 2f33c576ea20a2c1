/*
 * What a session's ticket says of its first full handshake, beside what
 * OpenSSL writes there.  Part of the encrypted ticket: the client can neither
 * read nor change it.  tls/ only; the connection's thread.
 */
#ifndef TLS_TICKET_FACTS_H
#define TLS_TICKET_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct ssl_session_st;

struct ticket_facts {
	int64_t birth_ms;
	int64_t good_until; /* its client's certificates (client.h), seconds */
	uint8_t scope[32];  /* of the site (server.h) */
};

/* false: it was never given any. */
bool ticket_facts_get(
    struct ssl_session_st *session, struct ticket_facts *facts) MUST_CHECK;

/* false: no memory. */
bool ticket_facts_put(struct ssl_session_st *session,
    const struct ticket_facts *facts) MUST_CHECK;

#endif
