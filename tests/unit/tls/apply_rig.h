/*
 * Two policies that take turns at being a listener and its host: each must
 * behave the same in either place.  For test_apply*.c; one thread.
 */
#ifndef TESTS_UNIT_TLS_APPLY_RIG_H
#define TESTS_UNIT_TLS_APPLY_RIG_H

#include "tests/support/link.h"

/* What the rows have in common. */
#define POLICY                                                           \
	.name = "test", .min_version = TLS_VERSION_1_2, .tickets = true, \
	.session_timeout_ms = 2 * 3600 * 1000

/* For apply_row.version: all the client has, at once. */
#define APPLY_ANY 1

/* Two policies, a client, and what becomes of it under each. */
struct apply_row {
	const char *what;
	int version; /* of the client; 0: each alone */
	struct config_listener one, other;
	void (*prepare)(SSL *client);           /* or NULL */
	const char *(*look)(struct link *link); /* once it is connected */
	const char *expect_one, *expect_other;  /* or "refused" */
};

void apply_begin(void);
void apply_end(void);
void apply_both_ways(const struct apply_row *rows, size_t count);

#endif
