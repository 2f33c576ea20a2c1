/*
 * Visits.  The session is handed over as a copy: OpenSSL's client gives up one
 * that was refused, and the clients to be feared do not.
 */
#include "tests/support/visit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

const char *const visit_names[] = { "refused", "full", "resumed" };

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "visit: %s failed\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

static void
dress(SSL *client, const struct visitor *visitor)
{
	SSL_SESSION *copy = NULL;
	char name[256], groups[128]; /* OpenSSL's macros take no const */

	snprintf(name, sizeof(name), "%s", visitor->name ? visitor->name : "");
	snprintf(groups, sizeof(groups), "%s",
	    visitor->groups ? visitor->groups : "");
	SSL_set_min_proto_version(client, visitor->version);
	SSL_set_max_proto_version(client, visitor->version);
	must(visitor->name == NULL ||
		 SSL_set_tlsext_host_name(client, name) == 1,
	    "asking for a name");
	must(visitor->groups == NULL ||
		 SSL_set1_groups_list(client, groups) == 1,
	    "choosing groups");
	must(visitor->pair == NULL ||
		 SSL_use_cert_and_key(client, visitor->pair->certificate,
		     visitor->pair->key, NULL, 1) == 1,
	    "taking a certificate");
	if (visitor->session == NULL)
		return;
	copy = SSL_SESSION_dup(visitor->session);
	must(copy != NULL && SSL_set_session(client, copy) == 1,
	    "taking a session");
	SSL_SESSION_free(copy);
}

/* OpenSSL has no callback for a renewed ticket of TLS 1.2: compare. */
static void
keep_session(struct link *link, struct visitor *visitor)
{
	SSL_SESSION *fresh = visitor->version == TLS1_2_VERSION
				 ? SSL_get1_session(link->client)
				 : link->session;

	if (fresh == NULL)
		return;
	SSL_SESSION_free(visitor->session);
	visitor->session = fresh;
	if (visitor->version != TLS1_2_VERSION)
		link->session = NULL;
}

enum visited
visit(struct tls_server *server, struct visitor *visitor)
{
	enum visited visited = VISIT_REFUSED;
	struct stream_facts facts;
	struct link link;
	char text[8];
	int client;

	link_open_tls(&link, LINK_STREAM, server);
	dress(link.client, visitor);
	if (link_handshake(&link, &client) == IO_DONE && client == 1) {
		must(link_answer(&link, "x") == IO_DONE &&
			 link_hear(&link, text, sizeof(text)) == 1,
		    "hearing the server");
		stream_facts(&link.server, &facts);
		must(facts.resumed == SSL_session_reused(link.client),
		    "agreeing on what happened");
		visited = facts.resumed ? VISIT_RESUMED : VISIT_FULL;
		keep_session(&link, visitor);
	}
	link_close(&link);
	return visited;
}

void
visitor_drop(struct visitor *visitor)
{
	SSL_SESSION_free(visitor->session);
	visitor->session = NULL;
}

void
visit_key_line(char line[VISIT_LINE], uint8_t seed)
{
	unsigned char bytes[80];
	int n;

	memset(bytes, seed, sizeof(bytes));
	n = EVP_EncodeBlock((unsigned char *)line, bytes, sizeof(bytes));
	must(n == 108, "encoding a key");
	line[n] = '\n';
	line[n + 1] = '\0';
}
