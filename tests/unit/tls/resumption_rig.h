/*
 * Policies in rows, servers made of them, and clients that one authority
 * vouches for: what the tests of resumption share.  Time is the test's own.
 * One thread; aborts when the set-up fails.
 */
#ifndef RESUMPTION_RIG_H
#define RESUMPTION_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/link.h"
#include "tests/support/pki.h"
#include "tests/support/visit.h"
#include "tls/server.h"
#include "tls/ticket.h"

/* 2040-01-01 00:00:00 UTC, when something ends in some tests: far behind the
 * clock that OpenSSL looks at, so that a full handshake still succeeds. */
#define RIG_END_S INT64_C(2208988800)

enum { RIG_SITES = 6 };

struct rig {
	int64_t now_ms;
	struct ticket_keys *keys;
	/* ca.pem, other.pem, both.pem, brief.pem; empty.crl, revoked.crl,
	 * brief.crl.  What is brief holds until RIG_END_S. */
	struct pki_folder folder;
	struct pki ca;
	struct pki other_ca;
	struct pki brief_ca;
	struct pki client; /* of ca; CN client, SAN client.example */
	struct pki brief;  /* the same, but brief */
	struct pki heir;   /* the same, of brief_ca */
	struct identity *shown;
};
extern struct rig rig;

void rig_open(void);
void rig_close(void);

/* Another certificate is shown from now on. */
void rig_renew(void);

/* What rows say of a policy; zero is the default of everything. */
struct rule {
	const char *pattern;  /* of a host */
	const char *listener; /* its name; NULL: "test" */
	enum config_verify verify;
	const char *ca;    /* NULL: "ca.pem" */
	const char *crl;   /* NULL: none */
	bool chain;        /* crl_check */
	const char *allow; /* allow_san */
	const char *cn;    /* allow_cn */
	const char *ciphers;
	bool off; /* tickets = no */
};

#define NONE .verify = VERIFY_NONE
#define OPTIONAL .verify = VERIFY_OPTIONAL
#define REQUIRE .verify = VERIFY_REQUIRE

/* A server and everything that it borrows. */
struct standing {
	struct config_listener listener;
	struct config_listener hosts[RIG_SITES];
	char words[RIG_SITES][2][32];
	char *items[RIG_SITES][2];
	char paths[RIG_SITES][2][96];
	struct tls_server *server;
};

/* The first rule is the listener's, the others are its hosts'. */
void stand(struct standing *standing, const struct rule *rules, size_t count);
void fall(struct standing *standing);

/* v: of link_versions.  pair: NULL, or one of the rig's clients. */
struct visitor rig_visitor(size_t v, const char *name, const struct pki *pair);

#endif
