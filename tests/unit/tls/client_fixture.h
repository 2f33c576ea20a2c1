/*
 * Policies in rows, servers made of them, clients with certificates of one CA,
 * and connections that stay open while a test looks at them.  Time is the
 * test's own.  One thread; aborts when the set-up fails.
 */
#ifndef TESTS_UNIT_TLS_CLIENT_FIXTURE_H
#define TESTS_UNIT_TLS_CLIENT_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/link.h"
#include "tests/support/pki.h"
#include "tests/support/visit.h"
#include "tls/ticket.h"
#include "tls/tls_server.h"

struct crl_wish;

/* 2040-01-01 00:00:00 UTC, the end of the brief certificates and CRLs: after
 * the time of OpenSSL's clock, so that a full handshake still succeeds. */
#define FIXTURE_END_S INT64_C(2208988800)

enum { FIXTURE_SITES_MAX = 6 };

struct client_fixture {
	int64_t now_ms;
	struct ticket_keys *keys;
	/* ca.pem, other.pem, both.pem, brief.pem; empty.crl, revoked.crl,
	 * brief.crl.  Brief ones end at FIXTURE_END_S. */
	struct pki_folder folder;
	struct pki ca;
	struct pki other_ca;
	struct pki brief_ca;
	struct pki client;          /* of ca; CN client, SAN client.example */
	struct pki brief_client;    /* the same, but brief */
	struct pki brief_ca_client; /* the same, of brief_ca */
	struct identity *identity;
};
extern struct client_fixture fixture;

void fixture_open(void);
void fixture_close(void);

/* Servers that are opened from now on have another certificate. */
void fixture_renew_server(void);

/* The settings of a site; zero is the default of each. */
struct policy_row {
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
struct policy_server {
	struct config_listener listener;
	struct config_listener hosts[FIXTURE_SITES_MAX];
	char words[FIXTURE_SITES_MAX][2][32];
	char *items[FIXTURE_SITES_MAX][2];
	char paths[FIXTURE_SITES_MAX][2][96];
	struct tls_server *server;
};

/* The first row is the listener's, the others are its hosts'. */
void policy_server_open(struct policy_server *policy_server,
    const struct policy_row *rows, size_t count);
void policy_server_close(struct policy_server *policy_server);

/* v: of link_versions.  pair: NULL, or a client of the fixture. */
struct visitor fixture_visitor(
    size_t v, const char *name, const struct pki *pair);

/* ---- Clients whose connection stays open ---- */

/* 2020-05-20: certificates that have expired today were valid. */
#define CLIENT_2020_S INT64_C(1590000000)

struct open_client {
	size_t v;                /* of link_versions */
	const struct pki *pair;  /* its certificate; NULL: none */
	const struct pki *along; /* sent with it; NULL: none */
	bool in_2020;            /* OpenSSL verifies it as of then */
	SSL_SESSION *session;    /* to be resumed; NULL: none */
	struct link link;
};

/* The result of the server's side of the handshake. */
enum io open_client_connect(
    struct open_client *opened, struct tls_server *server);

/* Did the client get an alert? */
bool open_client_got_alert(struct open_client *opened);

/* Keep the session for the next connection. */
void open_client_keep_session(struct open_client *opened);

void open_client_close(struct open_client *opened);
void open_client_drop_session(struct open_client *opened);

/* More files for the folder. */
void fixture_write_ca(const char *name, const struct pki *authority);
void fixture_write_crl(const char *name, const struct crl_wish *wish);

#endif
