/*
 * The SSL_CTX of a listener.  Built on the main thread, immutable afterwards,
 * read by the callbacks on the listener threads.  Session caches are off:
 * resumption lives in tickets alone, so threads share nothing per session.
 */
#include "tls/context.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "base/err.h"
#include "tls/error.h"
#include "tls/identity.h"
#include "tls/policy.h"
#include "tls/ticket.h"

enum { SECONDS_MAX = 7 * 24 * 3600 };

struct tls_context {
	atomic_uint refs;

	/* fixed at creation */
	SSL_CTX *native;
	struct identity *identity;
	uint8_t *alpn; /* wire format, RFC 7301 section 3.1; NULL: none */
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
	/* No 0-RTT: a proxy cannot know which requests may be replayed. */
	SSL_CTX_set_max_early_data(native, 0);
	SSL_CTX_set_recv_max_early_data(native, 0);
}

static bool
use_identity(
    struct tls_context *context, struct identity *identity, struct err *err)
{
	if (SSL_CTX_use_cert_and_key(context->native,
		identity_certificate(identity), identity_key(identity),
		identity_chain(identity), 1) != 1) {
		tls_error_set(err, "OpenSSL refuses the certificate");
		return false;
	}
	context->identity = identity_ref(identity);
	return true;
}

/*
 * RFC 7301 section 3.2: our most preferred protocol the client offers; none
 * in common is fatal.  Not called for a client that offers none at all.
 */
static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *offered, unsigned offered_len, void *arg)
{
	const struct tls_context *context = arg;
	unsigned char *chosen = NULL;
	int result = SSL_select_next_proto(&chosen, out_len, context->alpn,
	    context->alpn_len, offered, offered_len);

	(void)ssl;
	if (result != OPENSSL_NPN_NEGOTIATED)
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
	SSL_CTX_set_alpn_select_cb(context->native, on_alpn, context);
	return true;
}

/* Agreeing to any name keeps it in the session, so that the access log knows
 * it after a resumption too. */
static int
on_server_name(SSL *ssl, int *alert, void *arg)
{
	(void)ssl;
	(void)alert;
	(void)arg;
	return SSL_TLSEXT_ERR_OK;
}

static bool
set_resumption(SSL_CTX *native, const struct config_listener *config,
    struct ticket_keys *keys, struct err *err)
{
	uint8_t policy[32];
	long seconds = (long)(config->session_timeout_ms / 1000);

	if (!policy_digest(config, policy, err))
		return false;
	if (SSL_CTX_set_session_id_context(native, policy, sizeof(policy)) !=
	    1) {
		tls_error_set(err, "no session id context");
		return false;
	}
	if (!config->tickets) {
		SSL_CTX_set_options(native, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(native, 0);
		return true;
	}
	/* RFC 8446 section 4.6.1: a ticket lives seven days at most. */
	if (seconds > SECONDS_MAX)
		seconds = SECONDS_MAX;
	SSL_CTX_set_timeout(native, seconds > 0 ? seconds : 1);
	SSL_CTX_set_num_tickets(native, 1);
	return ticket_attach(
	    keys, native, policy, config->session_timeout_ms, err);
}

static bool
fill(struct tls_context *context, const struct config_listener *config,
    struct identity *identity, struct err *warning, struct err *err)
{
	context->native = SSL_CTX_new(TLS_server_method());
	if (context->native == NULL) {
		tls_error_set(err, "no TLS context");
		return false;
	}
	set_options(context->native);
	SSL_CTX_set_tlsext_servername_callback(context->native, on_server_name);
	return policy_set_versions(context->native, config, err) &&
	       policy_set_ciphers(context->native, config, err) &&
	       policy_set_groups(context->native, config, warning, err) &&
	       use_identity(context, identity, err) &&
	       set_alpn(context, &config->alpn, err);
}

struct tls_context *
tls_context_new(const struct config_listener *config, struct identity *identity,
    struct ticket_keys *keys, struct err *warning, struct err *err)
{
	struct tls_context *context = calloc(1, sizeof(*context));

	err_set(warning, "%s", "");
	tls_error_clear();
	if (context == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	atomic_init(&context->refs, 1);
	if (fill(context, config, identity, warning, err) &&
	    set_resumption(context->native, config, keys, err))
		return context;
	tls_context_unref(context);
	return NULL;
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
	identity_unref(context->identity);
	free(context->alpn);
	free(context);
}

struct identity *
tls_context_identity(const struct tls_context *context)
{
	return context->identity;
}

struct ssl_ctx_st *
tls_context_native(const struct tls_context *context)
{
	return context->native;
}
