/*
 * The SSL_CTX of a policy.  Built on the main thread, immutable afterwards,
 * read by the callbacks on the listener threads.  Session caches are off:
 * resumption lives in tickets alone, so threads share nothing per session.
 * It holds no certificate: the only thing that thousands of names differ in
 * is put into each connection, for two microseconds of its time.
 */
#include "tls/context.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "tls/client.h"
#include "tls/error.h"
#include "tls/policy.h"
#include "tls/server.h"
#include "tls/stream.h"
#include "tls/ticket.h"
#include "tls/trust.h"

enum {
	SECONDS_MAX = 7 * 24 * 3600,
	/* Servers commonly permit 16 KiB; here their records count whole. */
	SKIPPED_MAX_BYTES = 64 * 1024
};

struct tls_context {
	atomic_uint refs;

	/* fixed at creation */
	SSL_CTX *native;
	struct trust *trust; /* NULL: no clients are verified */
	int purpose;         /* X509_PURPOSE_...; 0: no clients are verified */
	char *groups;        /* as OpenSSL takes them: it hands out none */
	uint8_t *alpn;       /* wire format, RFC 7301 section 3.1; NULL: none */
	unsigned alpn_len;
};

static void
set_options(SSL_CTX *native)
{
	SSL_CTX_set_options(
	    native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	/* No auto chain: without it OpenSSL searches a trust store in every
	 * full handshake for issuers the operator did not send. */
	SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS |
				     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				     SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_dh_auto(native, 1);
	/* No 0-RTT: a proxy cannot know which requests may be replayed.  But
	 * whoever served this name before may have promised it, and then its
	 * bytes are to be skipped (RFC 8446 section 4.2.10). */
	SSL_CTX_set_max_early_data(native, 0);
	SSL_CTX_set_recv_max_early_data(native, SKIPPED_MAX_BYTES);
}

static bool
is_check(const unsigned char *offered, unsigned offered_len)
{
	static const char alone[] = STREAM_CHECK_PROTOCOL;
	unsigned len = sizeof(alone) - 1;

	return offered_len == 1 + len && offered[0] == len &&
	       memcmp(offered + 1, alone, len) == 0;
}

/*
 * RFC 7301 section 3.2: our most preferred protocol the client offers; none
 * in common is fatal.  Not called for a client that offers none at all.  Without
 * `alpn` the extension is ignored.  A health check is taken either way, and gets
 * no ticket.
 */
static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *offered, unsigned offered_len, void *arg)
{
	const struct tls_context *context = arg;
	unsigned char *chosen = NULL;

	if (is_check(offered, offered_len)) {
		SSL_set_num_tickets(ssl, 0);
		*out = offered + 1;
		*out_len = offered[0];
		return SSL_TLSEXT_ERR_OK;
	}
	if (context->alpn == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	if (SSL_select_next_proto(&chosen, out_len, context->alpn,
		context->alpn_len, offered,
		offered_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static bool
set_alpn(struct tls_context *context, const struct config_strings *alpn,
    struct err *err)
{
	size_t i, len, total = 0;

	if (alpn->count == 0)
		return true;
	for (i = 0; i < alpn->count; i++) {
		len = strlen(alpn->items[i]);
		if (len == 0 || len > UINT8_MAX) {
			err_set(err, "alpn = %s: a protocol has 1 to 255 bytes",
			    alpn->items[i]);
			return false;
		}
		total += 1 + len;
	}
	context->alpn = malloc(total);
	if (context->alpn == NULL) {
		err_set(err, "out of memory");
		return false;
	}
	for (i = 0; i < alpn->count; i++) {
		len = strlen(alpn->items[i]);
		context->alpn[context->alpn_len] = (uint8_t)len;
		memcpy(
		    context->alpn + context->alpn_len + 1, alpn->items[i], len);
		context->alpn_len += 1 + (unsigned)len;
	}
	return true;
}

static int
verify_mode(enum config_verify verify)
{
	switch (verify) {
	case VERIFY_OPTIONAL:
		return SSL_VERIFY_PEER;
	case VERIFY_REQUIRE:
	case VERIFY_PINNED:
		return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	case VERIFY_NONE:
		break;
	}
	return SSL_VERIFY_NONE;
}

static bool
set_clients(struct tls_context *context, const struct config_listener *settings,
    struct trust *trust, struct err *err)
{
	STACK_OF(X509_NAME) *names = NULL;

	assert((settings->verify == VERIFY_NONE) == (trust == NULL));
	SSL_CTX_set_verify(
	    context->native, verify_mode(settings->verify), client_on_verify);
	if (trust == NULL)
		return true;
	context->purpose = settings->client_purpose == CLIENT_PURPOSE_ANY
			       ? X509_PURPOSE_ANY
			       : X509_PURPOSE_SSL_CLIENT;
	SSL_CTX_set_purpose(context->native, context->purpose);
	context->trust = trust_ref(trust);
	/* Pinned certificates are named by no issuer of theirs: ask for any
	 * (RFC 8446 section 4.2.4). */
	names = settings->verify == VERIFY_PINNED
		    ? sk_X509_NAME_new_null()
		    : SSL_dup_CA_list(trust_names(trust));
	if (names == NULL || SSL_CTX_set1_verify_cert_store(
				 context->native, trust_store(trust)) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		tls_error_set(err, "no store of client CAs");
		return false;
	}
	SSL_CTX_set_client_CA_list(context->native, names);
	return true;
}

static void
set_resumption(SSL_CTX *native, const struct config_listener *settings)
{
	long seconds = (long)(settings->session_timeout_ms / 1000);

	/* In a context without tickets too: a connection that began in it
	 * may go over to one that has them, or the other way round. */
	ticket_attach(native);
	if (!settings->tickets) {
		SSL_CTX_set_options(native, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(native, 0);
		return;
	}
	/* RFC 8446 section 4.6.1: a ticket lives seven days at most. */
	if (seconds > SECONDS_MAX)
		seconds = SECONDS_MAX;
	SSL_CTX_set_timeout(native, seconds > 0 ? seconds : 1);
	SSL_CTX_set_num_tickets(native, 1);
}

static bool
fill(struct tls_context *context, const struct config_listener *settings,
    struct trust *trust, struct err *err)
{
	context->native = SSL_CTX_new(TLS_server_method());
	if (context->native == NULL) {
		tls_error_set(err, "no TLS context");
		return false;
	}
	set_options(context->native);
	set_resumption(context->native, settings);
	SSL_CTX_set_alpn_select_cb(context->native, on_alpn, context);
	tls_server_attach(context->native);
	return policy_set_versions(context->native, settings, err) &&
	       policy_set_ciphers(context->native, settings, err) &&
	       policy_set_groups(
		   context->native, settings, &context->groups, err) &&
	       set_clients(context, settings, trust, err) &&
	       set_alpn(context, &settings->alpn, err);
}

struct tls_context *
tls_context_new(const struct config_listener *settings, struct trust *trust,
    struct err *err)
{
	struct tls_context *context = calloc(1, sizeof(*context));

	tls_error_clear();
	if (context == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	atomic_init(&context->refs, 1);
	if (!fill(context, settings, trust, err)) {
		tls_context_unref(context);
		context = NULL;
	}
	tls_error_clear(); /* a call that succeeds may leave errors, too */
	return context;
}

struct tls_context *
tls_context_ref(struct tls_context *context)
{
	atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
	return context;
}

void
tls_context_unref(struct tls_context *context)
{
	if (context == NULL || atomic_fetch_sub_explicit(&context->refs, 1,
				   memory_order_acq_rel) != 1)
		return;
	SSL_CTX_free(context->native);
	trust_unref(context->trust);
	free(context->groups);
	free(context->alpn);
	free(context);
}

/* SSL_set1_param would only add: what the old one has and the new one has not
 * would stay. */
static void
follow_param(SSL *ssl, SSL_CTX *native)
{
	X509_VERIFY_PARAM *from = SSL_CTX_get0_param(native);
	X509_VERIFY_PARAM *to = SSL_get0_param(ssl);

	X509_VERIFY_PARAM_clear_flags(to, X509_VERIFY_PARAM_get_flags(to));
	X509_VERIFY_PARAM_set_flags(to, X509_VERIFY_PARAM_get_flags(from));
	X509_VERIFY_PARAM_set_depth(to, X509_VERIFY_PARAM_get_depth(from));
}

static void
follow_options(SSL *ssl, SSL_CTX *native)
{
	uint64_t wanted = SSL_CTX_get_options(native);

	SSL_clear_options(ssl, SSL_get_options(ssl) & ~wanted);
	SSL_set_options(ssl, wanted);
}

/* Certificates and their callback, ciphers, the stores and names of CAs, the
 * security level, ALPN and the status callback come with SSL_set_SSL_CTX; the
 * rest does not. */
bool
tls_context_apply(const struct tls_context *context, struct ssl_st *ssl)
{
	SSL_CTX *native = context->native;

	if (SSL_set_SSL_CTX(ssl, native) == NULL)
		return false;
	SSL_set_verify(ssl, SSL_CTX_get_verify_mode(native),
	    SSL_CTX_get_verify_callback(native));
	follow_param(ssl, native);
	/* 0, where no clients are verified, is no purpose that can be set. */
	if (context->purpose != 0)
		SSL_set_purpose(ssl, context->purpose);
	follow_options(ssl, native);
	return SSL_set_min_proto_version(
		   ssl, SSL_CTX_get_min_proto_version(native)) == 1 &&
	       SSL_set_max_proto_version(
		   ssl, SSL_CTX_get_max_proto_version(native)) == 1 &&
	       SSL_set_num_tickets(ssl, SSL_CTX_get_num_tickets(native)) == 1 &&
	       SSL_set1_groups_list(ssl, context->groups) == 1;
}

const struct trust *
tls_context_trust(const struct tls_context *context)
{
	return context->trust;
}

struct ssl_ctx_st *
tls_context_native(const struct tls_context *context)
{
	return context->native;
}
