/*
 * What is tied to a context.  Attaching is done by the thread that sets up;
 * the status callback runs inside handshakes, on any thread; the hook that
 * frees wherever the last reference to the context is dropped, maybe after
 * staple_free.
 *
 * Two decisions to question.  The slots are walked on an SSL made from the
 * context, because the walk moves the "current" slot, which handshakes of
 * other threads copy.  And the policy is one atomic number, so that a context
 * may be given another one while it serves.
 */
#include "staple/attach.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "base/err.h"
#include "staple/cache.h"
#include "staple/response.h"
#include "staple/watch.h"

/* The ex-data of an SSL_CTX, and the argument of its status callback. */
struct scope {
	struct staple_cache *cache; /* a reference: whose context it is */
	atomic_uint policy;         /* packed, with no BY_MODE in it */
};

static int scope_index = -1; /* of the ex-data; fixed once made */
static pthread_once_t scope_once = PTHREAD_ONCE_INIT;

typedef int status_fn(SSL *ssl, void *arg);

/* ---- Policies ---- */

enum { BITS = 4, MASK = (1 << BITS) - 1 };

/* Strict modes refuse what they cannot staple, and stop when revoked. */
static unsigned
pack(const struct staple_policy *policy)
{
	bool strict = policy->mode == STAPLE_MUST ||
		      policy->mode == STAPLE_ALWAYS;
	unsigned without = policy->without_staple;
	unsigned revoked = policy->on_revoked;

	if (without == STAPLE_WITHOUT_BY_MODE)
		without = strict ? STAPLE_WITHOUT_REFUSE : STAPLE_WITHOUT_SERVE;
	if (revoked == STAPLE_REVOKED_BY_MODE)
		revoked = strict ? STAPLE_REVOKED_EXIT : STAPLE_REVOKED_STAPLE;
	return (unsigned)policy->mode | without << BITS | revoked << 2 * BITS;
}

static struct staple_policy
unpack(unsigned packed)
{
	return (struct staple_policy){
		.mode = packed & MASK,
		.without_staple = packed >> BITS & MASK,
		.on_revoked = packed >> 2 * BITS & MASK,
	};
}

/* ---- Handshakes ---- */

/* OpenSSL frees what it is given, so one copy cannot be avoided. */
static bool
give_copy(SSL *ssl, const struct staple_response *response)
{
	size_t len;
	const unsigned char *der = staple_response_der(response, &len);
	unsigned char *copy = OPENSSL_memdup(der, len);

	if (copy == NULL)
		return false;
	SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)len);
	return true;
}

/* A staple, or the reason why there is none. */
static bool
staple(SSL *ssl, struct staple_entry *entry, const struct staple_policy *policy,
    enum staple_unsent *reason)
{
	struct staple_response *response = staple_cache_take(
	    entry, policy, clock_wall_ms() / 1000, reason);
	bool given;

	if (response == NULL)
		return false;
	given = give_copy(ssl, response);
	staple_response_unref(response);
	if (given) {
		staple_cache_sent(entry);
	} else {
		*reason = STAPLE_UNSENT_NO_MEMORY;
		staple_cache_unsent(entry, *reason);
		ERR_clear_error();
	}
	return given;
}

static bool
may_go_on(const struct staple_policy *policy, enum staple_unsent reason)
{
	if (reason == STAPLE_UNSENT_UNWANTED ||
	    reason == STAPLE_UNSENT_NOT_FIRST)
		return true;
	return reason != STAPLE_UNSENT_REVOKED &&
	       policy->without_staple != STAPLE_WITHOUT_REFUSE;
}

/*
 * RFC 8446 section 4.1.4: a client whose key share cannot be used is to say
 * hello once more.  It is answered, and counted, then.
 */
static bool
is_to_retry(SSL *ssl)
{
	EVP_PKEY *share = NULL;
	bool has_share = SSL_get_peer_tmp_key(ssl, &share) == 1;

	EVP_PKEY_free(share);
	return SSL_version(ssl) == TLS1_3_VERSION && !has_share;
}

/*
 * RFC 6066 section 8: OpenSSL calls this if the client sent status_request,
 * once it has chosen the certificate (which SSL_get_certificate shows), on the
 * context that the name has led to, and not when a session is resumed.
 */
static int
on_status(SSL *ssl, void *arg)
{
	struct scope *scope = arg;
	struct staple_policy policy = unpack(
	    atomic_load_explicit(&scope->policy, memory_order_relaxed));
	enum staple_unsent reason;
	struct staple_entry *entry;
	X509 *certificate;

	/* A client is called with what it was sent; this accepts it. */
	if (SSL_is_server(ssl) == 0)
		return 1;
	certificate = SSL_get_certificate(ssl);
	entry = certificate != NULL ? staple_watch_entry(certificate) : NULL;
	if (entry == NULL || is_to_retry(ssl))
		return SSL_TLSEXT_ERR_NOACK;
	if (staple(ssl, entry, &policy, &reason))
		return SSL_TLSEXT_ERR_OK;
	return may_go_on(&policy, reason) ? SSL_TLSEXT_ERR_NOACK
					  : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- Ex-data ---- */

static void
on_free(void *parent, void *data, CRYPTO_EX_DATA *ex_data, int index, long argl,
    void *argp)
{
	struct scope *scope = data;

	(void)parent, (void)ex_data, (void)index, (void)argl, (void)argp;
	if (scope == NULL)
		return;
	staple_cache_unref(scope->cache);
	free(scope);
}

static void
make_index(void)
{
	scope_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_free);
}

/* A context that is attached for the first time. */
static bool
add_scope(const struct staple_watcher *watcher, SSL_CTX *context)
{
	struct scope *scope = calloc(1, sizeof(*scope));

	if (scope == NULL)
		return false;
	scope->cache = staple_cache_ref(watcher->cache);
	atomic_init(&scope->policy, pack(watcher->policy));
	if (SSL_CTX_set_ex_data(context, scope_index, scope) != 1) {
		ERR_clear_error();
		staple_cache_unref(scope->cache);
		free(scope);
		return false;
	}
	return true;
}

static void
change_scope(struct scope *scope, const struct staple_watcher *watcher)
{
	if (scope->cache != watcher->cache) {
		staple_cache_unref(scope->cache);
		scope->cache = staple_cache_ref(watcher->cache);
	}
	atomic_store_explicit(
	    &scope->policy, pack(watcher->policy), memory_order_relaxed);
}

static status_fn *
callback_of(SSL_CTX *context)
{
	status_fn *callback = NULL;

	SSL_CTX_get_tlsext_status_cb(context, &callback);
	return callback;
}

/* Not written anew where it stands: handshakes may be reading it. */
static void
set_callback(SSL_CTX *context)
{
	if (callback_of(context) == on_status)
		return;
	SSL_CTX_set_tlsext_status_arg(
	    context, SSL_CTX_get_ex_data(context, scope_index));
	SSL_CTX_set_tlsext_status_cb(context, on_status);
}

/* The context is nobody's, ours, or of a struct staple that was freed. */
static bool
may_attach(
    SSL_CTX *context, const struct staple_watcher *watcher, struct err *err)
{
	const struct scope *scope = SSL_CTX_get_ex_data(context, scope_index);
	status_fn *callback = callback_of(context);

	if (callback != NULL && callback != on_status) {
		err_set(err,
		    "the context has an OCSP status callback of its own; "
		    "remove it (SSL_CTX_set_tlsext_status_cb)");
		return false;
	}
	if (scope != NULL && scope->cache != watcher->cache &&
	    !staple_cache_is_closed(scope->cache)) {
		err_set(err, "the context belongs to another struct staple");
		return false;
	}
	return true;
}

/* ---- The walk ---- */

static bool
watch_current(const struct staple_watcher *watcher, SSL_CTX *context, SSL *ssl,
    struct err *err)
{
	STACK_OF(X509) *chain = NULL;

	SSL_get0_chain_certs(ssl, &chain);
	if (chain == NULL)
		SSL_CTX_get_extra_chain_certs_only(context, &chain);
	return staple_watch_found(
	    watcher, SSL_get_certificate(ssl), chain, err);
}

static bool
watch_slots(
    const struct staple_watcher *watcher, SSL_CTX *context, struct err *err)
{
	SSL *ssl = SSL_new(context);
	bool fine = true;
	long more;

	if (ssl == NULL) {
		ERR_clear_error();
		err_set(err, "no memory to look at the context");
		return false;
	}
	for (more = SSL_set_current_cert(ssl, SSL_CERT_SET_FIRST);
	     fine && more == 1;
	     more = SSL_set_current_cert(ssl, SSL_CERT_SET_NEXT))
		fine = watch_current(watcher, context, ssl, err);
	SSL_free(ssl);
	return fine;
}

bool
staple_attach_context(
    const struct staple_watcher *watcher, SSL_CTX *context, struct err *err)
{
	struct scope *scope;

	pthread_once(&scope_once, make_index);
	if (!may_attach(context, watcher, err) ||
	    !watch_slots(watcher, context, err))
		return false;
	scope = SSL_CTX_get_ex_data(context, scope_index);
	if (scope != NULL) {
		change_scope(scope, watcher);
	} else if (!add_scope(watcher, context)) {
		err_set(err, "out of memory");
		return false;
	}
	set_callback(context);
	return true;
}
