/*
 * Clients whose connection stays open while a test looks at it, beside
 * resumption_rig.h, whose servers they come to.  One thread; aborts when the
 * set-up fails.
 */
#ifndef TESTS_UNIT_TLS_CLIENT_RIG_H
#define TESTS_UNIT_TLS_CLIENT_RIG_H

#include "tests/support/link.h"
#include "tests/support/pki.h"

struct crl_wish;

/* 2020-05-20: when certificates that have ended today were good. */
#define GUEST_2020_S INT64_C(1590000000)

struct guest {
	size_t v;                /* of link_versions */
	const struct pki *pair;  /* its certificate; NULL: none */
	const struct pki *along; /* sent with it; NULL: none */
	bool in_2020;            /* OpenSSL verifies it as of then */
	SSL_SESSION *session;    /* to be resumed; NULL: none */
	struct link link;
};

/* What the server's side of the handshake came to. */
enum io guest_come(struct guest *guest, struct tls_server *server);

/* Did it get an alert? */
bool guest_was_told(struct guest *guest);

/* For the next time. */
void guest_keep_session(struct guest *guest);

void guest_go(struct guest *guest);
void guest_forget(struct guest *guest); /* the session */

/* More files for the folder of resumption_rig.h. */
void client_rig_write(const char *name, const struct pki *authority);
void client_rig_write_list(const char *name, const struct crl_wish *wish);

#endif
