/*
 * The sites of one listener, and the table from names to sites.  A site is one
 * context with the identities used in it.  Site 0 is the listener's own.  Built
 * by one thread, sealed, then immutable; counted; any thread may make streams
 * from it.
 */
#ifndef TLS_TLS_SERVER_H
#define TLS_TLS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"
#include "tls/identity.h"

struct err;
struct sni_table;
struct ssl_st;
struct ticket_keys;
struct tls_context;
struct tls_server;

/* Fixed when added.  The fields are for tls/ and for the builder. */
struct tls_site {
	size_t number;
	struct tls_server *server;              /* borrowed */
	const struct config_listener *settings; /* borrowed: outlives all */
	struct tls_context *context;
	struct identity *identities[IDENTITY_KINDS]; /* by kind; NULL: none */
	struct ticket_keys *keys;                    /* of the server */
	uint8_t scope[32];   /* sessions of another scope are not resumed */
	int64_t lifetime_ms; /* of a session */
};

/* With room for this many sites and patterns.  References the keys.  NULL: no
 * memory. */
struct tls_server *tls_server_new(
    size_t sites, size_t names, struct ticket_keys *keys) MUST_CHECK;
struct tls_server *tls_server_ref(struct tls_server *server);
void tls_server_unref(struct tls_server *server); /* NULL ok */

/*
 * Add a site; references context and identities (IDENTITY_KINDS pointers, by
 * kind, NULL: none; all NULL: every handshake is refused).  Sites are numbered
 * in the order in which they are added.  The scope of its sessions is a hash of
 * the context's digest and the listener's name.  false: *err.
 */
bool tls_server_add(struct tls_server *server,
    const struct config_listener *settings, struct tls_context *context,
    struct identity *const *identities, struct err *err) MUST_CHECK;

/* Map a normalised pattern (sni.h) to that site; of equal patterns the first
 * one counts. */
bool tls_server_add_name(
    struct tls_server *server, const char *pattern, size_t site) MUST_CHECK;

/* End the additions.  reject: a client with an unknown SNI, or without one,
 * gets unrecognized_name instead of site 0. */
void tls_server_seal(struct tls_server *server, bool reject);

size_t tls_server_count(const struct tls_server *server);
const struct tls_site *tls_server_site(
    const struct tls_server *server, size_t number);
/* The site for an SNI as a client sends it; NULL: refused. */
const struct tls_site *tls_server_find(
    const struct tls_server *server, const char *name, size_t len);

/* A new SSL of this server, in site 0 until the ClientHello callback.  The
 * server must outlive it.  NULL: no memory. */
struct ssl_st *tls_server_ssl(struct tls_server *server) MUST_CHECK;

/* The site a connection is in. */
const struct tls_site *tls_site_of(const struct ssl_st *ssl);

enum client_hello_sni {
	CLIENT_HELLO_NO_SNI,
	CLIENT_HELLO_SNI,
	CLIENT_HELLO_BAD_SNI /* RFC 6066 section 3 allows no such list */
};

/*
 * The SNI of the ClientHello that is being processed: unchecked bytes, valid as
 * long as that ClientHello.  Can be called in the ClientHello callback and in
 * the callbacks of extensions (tickets).
 */
enum client_hello_sni client_hello_sni(
    struct ssl_st *ssl, const uint8_t **name, size_t *len);

/* ---- For context.c ---- */

/* Set the ClientHello, certificate and server name callbacks. */

struct ssl_ctx_st;
void tls_server_attach(struct ssl_ctx_st *context);

#endif
