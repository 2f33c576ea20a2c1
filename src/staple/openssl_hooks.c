/*
 * What is tied to OpenSSL's objects by ex-data: an entry of the cache to an
 * X509, a policy and the status callback to an SSL_CTX.  Watching and attaching
 * are done by the setting-up thread.  The status callback runs inside
 * handshakes, on any thread.  The free hooks run wherever the last reference to
 * the object is dropped, maybe after staple_free.
 *
 * Decisions a reader may question:
 * - Facts equal to those of the entry are dropped: a reload watches every
 *   certificate anew and must not cause a request.
 * - A certificate whose staple no policy requires is read without its issuer,
 *   because thousands of certificates may be watched.  Its facts are completed
 *   before a policy requires its staple, so the staple thread never works on
 *   incomplete facts.
 * - The slots of a context are walked on an SSL made from it, because the walk
 *   moves the "current" slot, which handshakes of other threads copy.
 * - The policy is one atomic number, so that a context may get another one
 *   while it serves.
 */
#include "staple/openssl_hooks.h"

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

/* ---- Certificates: ex-data ---- */

/* The ex-data of an X509.  Handshakes read the entry; the requirement
 * belongs to the setting-up thread and, at the end, to the thread that frees
 * the X509. */
struct holder {
	struct staple_entry *entry;
	enum staple_requirement
	    requirement; /* the strongest of any policy so far */
};

static int holder_index = -1; /* of the ex-data; fixed once made */
static pthread_once_t holder_once = PTHREAD_ONCE_INIT;

static void
on_certificate_free(void *parent, void *data, CRYPTO_EX_DATA *ex_data,
    int index, long argl, void *argp)
{
	struct holder *holder = data;

	(void)parent, (void)ex_data, (void)index, (void)argl, (void)argp;
	if (holder == NULL)
		return;
	staple_cache_release(holder->entry, holder->requirement);
	free(holder);
}

static void
make_holder_index(void)
{
	holder_index = X509_get_ex_new_index(
	    0, NULL, NULL, NULL, on_certificate_free);
}

static struct holder *
holder_of(const X509 *certificate)
{
	pthread_once(&holder_once, make_holder_index);
	return X509_get_ex_data(certificate, holder_index);
}

struct staple_entry *
staple_watch_entry(const X509 *certificate)
{
	struct holder *holder = holder_of(certificate);

	return holder != NULL ? holder->entry : NULL;
}

/* ---- Facts ---- */

/* The facts do not suffice for a request (yet), and that is not the fault of
 * its source. */
static bool
wants_help(const struct staple_cert *held)
{
	return (held->unavailable_reason != STAPLE_UNASKED ||
		   held->issuer_url_count > 0) &&
	       !held->urls_configured && held->staple_file == NULL;
}

/* One call of watch: its arguments, and the facts of the entry. */
struct showing {
	const struct staple_watcher *watcher;
	X509 *certificate;
	STACK_OF(X509) * chain;
	const struct staple_source *source;
	bool found; /* in a context, which has no source */

	struct staple_entry *entry;  /* a reference; NULL: none yet */
	struct staple_cert *held;    /* the entry's; a reference */
	struct staple_cert *partial; /* a reference; NULL: not made yet */
};

static bool
make_partial(struct showing *showing, struct err *err)
{
	if (showing->partial == NULL)
		showing->partial = staple_cert_partial(
		    showing->certificate, showing->source, err);
	return showing->partial != NULL;
}

/* Find the entry by the ex-data; without, by the key of the certificate. */
static bool
look_up(struct showing *showing, struct err *err)
{
	struct staple_cache *cache = showing->watcher->cache;
	struct staple_entry *entry = staple_watch_entry(showing->certificate);

	if (entry != NULL && staple_entry_cache(entry) == cache) {
		staple_entry_ref(entry);
	} else {
		if (!make_partial(showing, err))
			return false;
		entry = staple_cache_find(cache, showing->partial->key);
	}
	showing->entry = entry;
	if (entry != NULL)
		showing->held = staple_entry_cert(entry);
	return true;
}

static void
drop(struct showing *showing)
{
	staple_cert_unref(showing->partial);
	staple_cert_unref(showing->held);
	staple_entry_unref(showing->entry);
}

static bool
is_wanted(const struct showing *showing, const struct staple_cert *facts)
{
	const struct staple_policy *policy = showing->watcher->policy;

	return staple_cert_requirement(facts, policy) != STAPLE_REQUIRE_NONE ||
	       (showing->entry != NULL &&
		   staple_entry_requirement(showing->entry) !=
		       STAPLE_REQUIRE_NONE);
}

/* Do the facts of the entry come from the source that counts? */
static bool
agrees(const struct showing *showing)
{
	if (showing->held == NULL)
		return false;
	return showing->found
		   ? !wants_help(showing->held)
		   : staple_cert_has_source(showing->held, showing->source);
}

/* Would the same issuer be found again? */
static bool
suffices(const struct showing *showing)
{
	return showing->held->complete &&
	       (showing->found ||
		   staple_cert_fits_chain(showing->held, showing->chain));
}

/* The facts from now on; a reference. */
static struct staple_cert *
work_out(struct showing *showing, struct err *err)
{
	const struct staple_watcher *watcher = showing->watcher;
	struct staple_cert *base = showing->held;

	if (agrees(showing) && (!is_wanted(showing, base) || suffices(showing)))
		return staple_cert_ref(base);
	if (!agrees(showing) || base->complete) {
		if (!make_partial(showing, err))
			return NULL;
		base = showing->partial;
	}
	if (!is_wanted(showing, base))
		return staple_cert_ref(base);
	return staple_cert_complete(
	    base, showing->certificate, showing->chain, watcher->trust, err);
}

/* Keep a known issuer: a reload watches the same certificate without it, which
 * must not cause a fetch.  Takes the reference and returns one. */
static struct staple_cert *
keep_fetched_issuer(
    struct showing *showing, struct staple_cert *facts, struct err *err)
{
	const struct staple_cert *held = showing->held;
	struct staple_cert *kept;

	if (facts == NULL || facts->issuer_url_count == 0 || held == NULL ||
	    held->issuer == NULL)
		return facts;
	kept = staple_cert_with_issuer(
	    facts, showing->certificate, held->issuer, held->origin, err);
	staple_cert_unref(facts);
	return kept;
}

/* The same, or the facts of the entry if they are equal. */
static struct staple_cert *
choose_facts(struct showing *showing, struct err *err)
{
	struct staple_cert *facts = keep_fetched_issuer(
	    showing, work_out(showing, err), err);
	struct staple_cert *held = showing->held;

	if (facts == NULL || held == NULL || facts == held ||
	    !staple_cert_equals(facts, held))
		return facts;
	staple_cert_unref(facts);
	return staple_cert_ref(held);
}

/* ---- Holders ---- */

static bool
add_holder(X509 *certificate, struct staple_entry *entry,
    enum staple_requirement requirement)
{
	struct holder *holder = calloc(1, sizeof(*holder));

	if (holder == NULL)
		return false;
	*holder = (struct holder){ entry, requirement };
	if (X509_set_ex_data(certificate, holder_index, holder) == 1)
		return true;
	ERR_clear_error();
	free(holder);
	return false;
}

/* Replace the holder of a struct staple that was freed, or add the first one of
 * this certificate. */
static bool
hold_anew(struct staple_cache *cache, X509 *certificate,
    struct staple_cert *facts, enum staple_requirement requirement)
{
	struct staple_entry *entry = staple_cache_hold(
	    cache, facts, requirement);
	struct holder *holder = holder_of(certificate);

	if (entry == NULL)
		return false;
	if (holder != NULL) {
		staple_cache_release(holder->entry, holder->requirement);
		*holder = (struct holder){ entry, requirement };
		return true;
	}
	if (add_holder(certificate, entry, requirement))
		return true;
	staple_cache_release(entry, requirement);
	return false;
}

static void
hold_on(struct holder *holder, struct staple_cert *facts,
    enum staple_requirement requirement)
{
	staple_cache_set_cert(holder->entry, facts);
	if (requirement <= holder->requirement)
		return;
	staple_cache_set_requirement(
	    holder->entry, holder->requirement, requirement);
	holder->requirement = requirement;
}

static bool
hold(struct staple_cache *cache, X509 *certificate, struct staple_cert *facts,
    enum staple_requirement requirement, struct err *err)
{
	struct holder *holder = holder_of(certificate);

	if (holder != NULL && staple_entry_cache(holder->entry) == cache) {
		hold_on(holder, facts, requirement);
		return true;
	}
	if (holder != NULL &&
	    !staple_cache_is_closed(staple_entry_cache(holder->entry))) {
		err_set(err,
		    "%s: another struct staple watches this certificate "
		    "object; load it once more",
		    facts->name);
		return false;
	}
	if (hold_anew(cache, certificate, facts, requirement))
		return true;
	err_set(err, "%s: out of memory", facts->name);
	return false;
}

/* A repeated watch may mean that staple_file has changed. */
static void
look_at_file(X509 *certificate, const struct staple_cert *facts)
{
	if (facts->staple_file != NULL)
		staple_cache_check_file(staple_watch_entry(certificate));
}

static bool
watch(struct showing *showing, struct err *err)
{
	const struct staple_watcher *watcher = showing->watcher;
	struct staple_cert *facts = NULL;
	bool held = false;

	if (look_up(showing, err))
		facts = choose_facts(showing, err);
	if (facts != NULL)
		held = hold(watcher->cache, showing->certificate, facts,
		    staple_cert_requirement(facts, watcher->policy), err);
	if (held)
		look_at_file(showing->certificate, facts);
	staple_cert_unref(facts);
	drop(showing);
	return held;
}

bool
staple_watch_certificate(const struct staple_watcher *watcher,
    X509 *certificate, STACK_OF(X509) * chain,
    const struct staple_source *source, struct err *err)
{
	struct showing showing = { .watcher = watcher,
		.certificate = certificate,
		.chain = chain,
		.source = source };

	return watch(&showing, err);
}

bool
staple_watch_found(const struct staple_watcher *watcher, X509 *certificate,
    STACK_OF(X509) * chain, struct err *err)
{
	struct showing showing = { .watcher = watcher,
		.certificate = certificate,
		.chain = chain,
		.found = true };

	return watch(&showing, err);
}

/* ---- Contexts ---- */

/* The ex-data of an SSL_CTX, and the argument of its status callback. */
struct scope {
	struct staple_cache *cache; /* owned reference */
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
 * RFC 8446 section 4.1.4: a client whose key share cannot be used sends a
 * second ClientHello.  It gets its staple, and is counted, then.
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
 * once it has chosen the certificate (SSL_get_certificate returns it), on the
 * context of the server name, and not when a session is resumed.
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

/* ---- Contexts: ex-data ---- */

static void
on_context_free(void *parent, void *data, CRYPTO_EX_DATA *ex_data, int index,
    long argl, void *argp)
{
	struct scope *scope = data;

	(void)parent, (void)ex_data, (void)index, (void)argl, (void)argp;
	if (scope == NULL)
		return;
	staple_cache_unref(scope->cache);
	free(scope);
}

static void
make_scope_index(void)
{
	scope_index = SSL_CTX_get_ex_new_index(
	    0, NULL, NULL, NULL, on_context_free);
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

/* The context has no callback, ours, or that of a freed struct staple. */
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

/* ---- The certificate slots of a context ---- */

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
		err_set(err, "out of memory for the context");
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

	pthread_once(&scope_once, make_scope_index);
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
