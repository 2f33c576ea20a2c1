/*
 * The sites of a listener, and the ClientHello that chooses one.  Filled by one
 * thread and sealed; from then on connections on any thread read it without a
 * lock.  A connection's site is its SSL's application data, and a site has its
 * server, so a connection allocates nothing but its SSL.
 *
 * The name is read from the extension's bytes in the ClientHello callback.
 * OpenSSL's server name callback is too late: by then OpenSSL has chosen a
 * version and opened the session ticket under the settings of another site.
 */
#include "tls/tls_server.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "base/err.h"
#include "tls/context.h"
#include "tls/error.h"
#include "tls/sni.h"
#include "tls/ticket.h"

struct tls_server {
	atomic_uint refs;

	/* while it is built */
	SSL *trial; /* in the context of the last site; tries each identity */

	/* fixed once sealed */
	struct ticket_keys *keys;
	struct sni_table *names;
	struct tls_site *sites;
	size_t count;
	size_t room;
	bool reject;
};

struct tls_server *
tls_server_new(size_t sites, size_t names, struct ticket_keys *keys)
{
	struct tls_server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return NULL;
	atomic_init(&server->refs, 1);
	server->keys = ticket_keys_ref(keys);
	server->names = sni_table_new(names);
	server->sites = calloc(sites, sizeof(*server->sites));
	server->room = sites;
	if (server->names != NULL && server->sites != NULL)
		return server;
	tls_server_unref(server);
	return NULL;
}

struct tls_server *
tls_server_ref(struct tls_server *server)
{
	atomic_fetch_add_explicit(&server->refs, 1, memory_order_relaxed);
	return server;
}

static void
clear_site(struct tls_site *site)
{
	size_t kind;

	tls_context_unref(site->context);
	for (kind = 0; kind < IDENTITY_KINDS; kind++)
		identity_unref(site->identities[kind]);
}

void
tls_server_unref(struct tls_server *server)
{
	size_t i;

	if (server == NULL || atomic_fetch_sub_explicit(
				  &server->refs, 1, memory_order_acq_rel) != 1)
		return;
	SSL_free(server->trial);
	for (i = 0; i < server->count; i++)
		clear_site(&server->sites[i]);
	free(server->sites);
	sni_table_free(server->names);
	ticket_keys_unref(server->keys);
	free(server);
}

/* Two listeners with equal settings are two scopes: a client of one may not be
 * admitted to the other. */
static bool
set_scope(struct tls_site *site, struct err *err)
{
	uint8_t bytes[32 + 32];
	const char *name = site->settings->name;

	memcpy(bytes, tls_context_digest_of(site->context), 32);
	if (EVP_Digest(name, strlen(name), bytes + 32, NULL, EVP_sha256(),
		NULL) == 1 &&
	    EVP_Digest(bytes, sizeof(bytes), site->scope, NULL, EVP_sha256(),
		NULL) == 1)
		return true;
	tls_error_set(err, "no SHA-256");
	return false;
}

static bool
use_identity(SSL *ssl, const struct identity *identity)
{
	return SSL_use_cert_and_key(ssl, identity_certificate(identity),
		   identity_key(identity), identity_chain(identity), 1) == 1;
}

static bool
use_identities(SSL *ssl, const struct tls_site *site)
{
	size_t kind;

	for (kind = 0; kind < IDENTITY_KINDS; kind++)
		if (site->identities[kind] != NULL &&
		    !use_identity(ssl, site->identities[kind]))
			return false;
	return true;
}

/* Find identities that OpenSSL would refuse in a handshake (a key that is too
 * weak for the security level). */
static bool
try_identities(
    struct tls_server *server, const struct tls_site *site, struct err *err)
{
	SSL_CTX *native = tls_context_native(site->context);
	bool ready;

	tls_error_clear();
	if (server->trial == NULL)
		server->trial = SSL_new(native);
	ready = server->trial != NULL &&
		SSL_set_SSL_CTX(server->trial, native) != NULL;
	if (ready && use_identities(server->trial, site))
		return true;
	tls_error_set(err, "OpenSSL refuses the certificate");
	return false;
}

bool
tls_server_add(struct tls_server *server,
    const struct config_listener *settings, struct tls_context *context,
    struct identity *const *identities, struct err *err)
{
	struct tls_site *site = &server->sites[server->count];
	size_t kind;
	bool fine;

	assert(server->count < server->room);
	*site = (struct tls_site){
		.number = server->count,
		.server = server,
		.settings = settings,
		.context = tls_context_ref(context),
		.keys = server->keys,
		.lifetime_ms = settings->session_timeout_ms,
	};
	for (kind = 0; kind < IDENTITY_KINDS; kind++)
		if (identities[kind] != NULL)
			site->identities[kind] = identity_ref(identities[kind]);
	fine = set_scope(site, err) && try_identities(server, site, err);
	if (fine)
		server->count++;
	else
		clear_site(site);
	tls_error_clear(); /* a successful call can leave errors, too */
	return fine;
}

bool
tls_server_add_name(struct tls_server *server, const char *pattern, size_t site)
{
	assert(site < server->count);
	return sni_table_add(server->names, pattern, site);
}

void
tls_server_seal(struct tls_server *server, bool reject)
{
	assert(server->count > 0);
	sni_table_seal(server->names);
	server->reject = reject;
	SSL_free(server->trial);
	server->trial = NULL;
}

size_t
tls_server_count(const struct tls_server *server)
{
	return server->count;
}

const struct tls_site *
tls_server_site(const struct tls_server *server, size_t number)
{
	return &server->sites[number];
}

static bool
has_identity(const struct tls_site *site)
{
	size_t kind;

	for (kind = 0; kind < IDENTITY_KINDS; kind++)
		if (site->identities[kind] != NULL)
			return true;
	return false;
}

const struct tls_site *
tls_server_find(const struct tls_server *server, const char *name, size_t len)
{
	char normal[SNI_NAME_MAX + 1];
	size_t number = SNI_NONE;

	if (sni_normalise(normal, (const uint8_t *)name, len))
		number = sni_table_find(server->names, normal);
	if (number == SNI_NONE && server->reject)
		return NULL;
	if (number == SNI_NONE)
		number = 0;
	return has_identity(&server->sites[number]) ? &server->sites[number]
						    : NULL;
}

/* The application data of an SSL is not const. */
static bool
set_site(SSL *ssl, const struct tls_site *site)
{
	struct tls_site *same = &site->server->sites[site->number];

	return SSL_set_app_data(ssl, same) == 1 &&
	       SSL_set_session_id_context(
		   ssl, same->scope, sizeof(same->scope)) == 1;
}

struct ssl_st *
tls_server_ssl(struct tls_server *server)
{
	const struct tls_site *first = &server->sites[0];
	SSL *ssl = SSL_new(tls_context_native(first->context));

	if (ssl != NULL && set_site(ssl, first))
		return ssl;
	SSL_free(ssl);
	tls_error_clear();
	return NULL;
}

const struct tls_site *
tls_site_of(const struct ssl_st *ssl)
{
	return SSL_get_app_data(ssl);
}

/* ---- The ClientHello ---- */

/* A vector with two bytes of length in front, which must end with the bytes. */
static bool
take_vector(const uint8_t **bytes, size_t *len)
{
	size_t inside;

	if (*len < 2)
		return false;
	inside = (size_t)(*bytes)[0] << 8 | (*bytes)[1];
	*bytes += 2;
	*len -= 2;
	return inside > 0 && inside == *len;
}

/*
 * RFC 6066 section 3: the names of a ServerNameList have different types, and
 * host_name is the only type defined, so there is one name.  OpenSSL requires
 * the same.
 */
enum client_hello_sni
client_hello_sni(struct ssl_st *ssl, const uint8_t **name, size_t *len)
{
	if (SSL_client_hello_get0_ext(
		ssl, TLSEXT_TYPE_server_name, name, len) != 1)
		return CLIENT_HELLO_NO_SNI;
	if (!take_vector(name, len) || (*name)[0] != TLSEXT_NAMETYPE_host_name)
		return CLIENT_HELLO_BAD_SNI;
	++*name;
	--*len;
	return take_vector(name, len) ? CLIENT_HELLO_SNI : CLIENT_HELLO_BAD_SNI;
}

/* The reason is for the log; OpenSSL's own is only that a callback failed. */
static int
refuse(int *alert, int code, int reason)
{
	ERR_raise(ERR_LIB_SSL, reason);
	*alert = code;
	return SSL_CLIENT_HELLO_ERROR;
}

/* OpenSSL has chosen a cipher once it has sent a HelloRetryRequest. */
static bool
is_second_hello(SSL *ssl)
{
	return SSL_get_pending_cipher(ssl) != NULL;
}

/* Move a connection into a site of its server, with its context and the scope
 * of its sessions.  false: no memory. */
static bool
enter_site(const struct tls_site *site, SSL *ssl)
{
	if (!set_site(ssl, site))
		return false;
	return SSL_get_SSL_CTX(ssl) == tls_context_native(site->context) ||
	       tls_context_apply(site->context, ssl);
}

/* Choose the site by the SNI and move the connection into it. */
static int
on_client_hello(SSL *ssl, int *alert, void *arg)
{
	const struct tls_site *old = tls_site_of(ssl), *site;
	const uint8_t *name = NULL;
	size_t len = 0;

	(void)arg;
	if (client_hello_sni(ssl, &name, &len) == CLIENT_HELLO_BAD_SNI)
		return refuse(alert, SSL_AD_DECODE_ERROR, SSL_R_BAD_EXTENSION);
	site = tls_server_find(old->server, (const char *)name, len);
	if (site == NULL)
		return refuse(alert, SSL_AD_UNRECOGNIZED_NAME,
		    SSL_R_SSL3_EXT_INVALID_SERVERNAME);
	/* RFC 8446 section 4.1.2: the second ClientHello has the same SNI. */
	if (site != old && is_second_hello(ssl))
		return refuse(
		    alert, SSL_AD_ILLEGAL_PARAMETER, SSL_R_BAD_EXTENSION);
	if (enter_site(site, ssl))
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_INTERNAL_ERROR;
	return SSL_CLIENT_HELLO_ERROR;
}

/* ---- Callbacks of every context ---- */

/* OpenSSL chooses one of them by what the client offers. */
static int
on_certificate(SSL *ssl, void *arg)
{
	(void)arg;
	return use_identities(ssl, tls_site_of(ssl));
}

/* Accepting the name keeps it in the session, so that the access log has it
 * after a resumption too. */
static int
on_server_name(SSL *ssl, int *alert, void *arg)
{
	(void)ssl;
	(void)alert;
	(void)arg;
	return SSL_TLSEXT_ERR_OK;
}

void
tls_server_attach(struct ssl_ctx_st *context)
{
	SSL_CTX_set_client_hello_cb(context, on_client_hello, NULL);
	SSL_CTX_set_cert_cb(context, on_certificate, NULL);
	SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
}
