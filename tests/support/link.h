/*
 * Both ends of one connection inside a test: a struct stream (the server,
 * under test) on one end of a socket pair, and on the other a client the test
 * drives by hand.  A TLS client runs over memory BIOs, so the test sees every
 * byte on the wire, and nothing moves without its call.  One thread; aborts
 * when the set-up fails.
 */
#ifndef SUPPORT_LINK_H
#define SUPPORT_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "base/buf.h"
#include "config/config.h"
#include "tests/support/pki.h"
#include "tls/identity.h"
#include "tls/stream.h"
#include "tls/ticket.h"
#include "tls/tls_server.h"

/* A socket pair that keeps the borders of sends, so they can be counted. */
enum link_kind { LINK_STREAM, LINK_PACKETS };

/* The two versions most tests walk through. */
enum { LINK_VERSIONS = 2 };
struct link_version {
	const char *what;
	int version;
};
extern const struct link_version link_versions[LINK_VERSIONS];

struct tls_context;

struct link {
	struct pool *pool;
	struct stream server;
	int peer;         /* the client's end; -1 once closed */
	SSL_CTX *context; /* the client's; NULL: plain */
	SSL *client;
	SSL_SESSION *session; /* the last one the client was given; owned */
	size_t sends;         /* LINK_PACKETS: made by the server so far */
	bool saw_fin;         /* the client read the server's FIN */
	bool saw_notify;      /* ...and its close_notify */
};

/* A listener's configuration with the built-in defaults. */
struct config_listener link_config(void);

/* An identity of a pair; chain: the PEM of more certificates, or "". */
struct identity *link_identity(const struct pki *pair, const char *chain);

/* A context for it; ca_file and crl_file are read when it verifies. */
struct tls_context *link_context(const struct config_listener *config);

/*
 * A server for it and its hosts, each a site with a context of its own; all
 * show the same identity: a self-signed one made on the spot, or one's own.
 * Borrows config.
 */
struct tls_server *link_server(const struct config_listener *config,
    enum pki_key key, struct ticket_keys *keys);
struct tls_server *link_server_of(const struct config_listener *config,
    struct identity *identity, struct ticket_keys *keys);

/* The SSL_CTX of its site 0; borrowed. */
struct ssl_ctx_st *link_native(const struct tls_server *server);

void link_open_plain(struct link *link, enum link_kind kind);

/* The client trusts every certificate; set other options on link->client. */
void link_open_tls(
    struct link *link, enum link_kind kind, struct tls_server *server);
void link_close(struct link *link); /* checks that no block is missing */

/* Carry bytes: from the wire to the client, from the client to the wire. */
void link_feed(struct link *link);
void link_push(struct link *link);

/*
 * Both sides, until neither moves.  Returns the server's last result; *client
 * (may be NULL) is the last result of SSL_do_handshake: 1 is done.
 */
enum io link_handshake(struct link *link, int *client);

/* Open, with only this version (0: any), handshake, expect success. */
void link_establish(struct link *link, enum link_kind kind,
    struct tls_server *server, int version);

/* The client sends text (TLS or plain); false: it could not. */
bool link_say(struct link *link, const char *text);

/* The client reads what came, up to max bytes; how many. */
size_t link_hear(struct link *link, void *into, size_t max);

/* stream_write of a text; what is left of it is dropped. */
enum io link_answer(struct link *link, const char *text);

/* stream_read into text (max bytes with the terminator). */
enum io link_receive(struct link *link, char *text, size_t max);

/* The client's close_notify, and its FIN. */
void link_notify(struct link *link);
void link_fin(struct link *link);

/* The client is gone; what it had not read becomes a reset. */
void link_hang_up(struct link *link);

#endif
