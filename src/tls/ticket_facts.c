/*
 * Facts as bytes: two numbers, big-endian, and the scope.  The connection's
 * thread.  A fixed layout rather than a version: tickets of another one are
 * told by their length and cost their clients a full handshake.
 */
#include "tls/ticket_facts.h"

#include <stddef.h>
#include <string.h>

#include <openssl/ssl.h>

enum { BYTES = 8 + 8 + 32 };

static void
put_number(uint8_t *to, int64_t number)
{
	uint64_t bits = (uint64_t)number;
	int i;

	for (i = 7; i >= 0; i--, bits >>= 8)
		to[i] = (uint8_t)bits;
}

static int64_t
get_number(const uint8_t *from)
{
	uint64_t bits = 0;
	int i;

	for (i = 0; i < 8; i++)
		bits = bits << 8 | from[i];
	return (int64_t)bits;
}

bool
ticket_facts_get(struct ssl_session_st *session, struct ticket_facts *facts)
{
	void *data = NULL;
	size_t len = 0;
	const uint8_t *bytes;

	if (SSL_SESSION_get0_ticket_appdata(session, &data, &len) != 1 ||
	    len != BYTES)
		return false;
	bytes = data;
	facts->birth_ms = get_number(bytes);
	facts->good_until = get_number(bytes + 8);
	memcpy(facts->scope, bytes + 16, sizeof(facts->scope));
	return true;
}

bool
ticket_facts_put(
    struct ssl_session_st *session, const struct ticket_facts *facts)
{
	uint8_t bytes[BYTES];

	put_number(bytes, facts->birth_ms);
	put_number(bytes + 8, facts->good_until);
	memcpy(bytes + 16, facts->scope, sizeof(facts->scope));
	return SSL_SESSION_set1_ticket_appdata(session, bytes, BYTES) == 1;
}
