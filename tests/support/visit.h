/*
 * A client that comes to a server, perhaps with a session of an earlier visit,
 * and goes again: what resumption is tested with.  One thread; aborts when the
 * set-up fails.
 */
#ifndef SUPPORT_VISIT_H
#define SUPPORT_VISIT_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "tests/support/link.h"
#include "tests/support/pki.h"

enum visited { VISIT_REFUSED, VISIT_FULL, VISIT_RESUMED };

/* For failure messages. */
extern const char *const visit_names[];

struct visitor {
	int version;
	const char *name;       /* server_name; NULL: none */
	const char *groups;     /* NULL: OpenSSL's own */
	const struct pki *pair; /* certificate and key; NULL: none */
	SSL_SESSION *session;   /* the last one that was given; owned */
};

/* Connect, read a word, close.  A visitor that is refused keeps its session. */
enum visited visit(struct tls_server *server, struct visitor *visitor);

void visitor_drop(struct visitor *visitor);

/* A line of a file of ticket keys; every byte of the key is `seed`. */
enum { VISIT_LINE = 110 };
void visit_key_line(char line[VISIT_LINE], uint8_t seed);

#endif
