/*
 * What is tied to a certificate.  Watching is done by the thread that sets
 * up; handshakes of any thread look at the entry; the hook that lets go runs
 * wherever the last reference to the X509 is dropped, maybe after staple_free.
 *
 * Two decisions to question.  Facts equal to those that are known are dropped:
 * a reload shows every certificate anew, and must ask nobody.  And what no
 * policy wants is only sketched, because thousands of certificates may be
 * shown; whoever wants one later has its facts completed first, so that the
 * staple thread never sees a sketch of something wanted.
 */
#include "staple/watch.h"

#include <pthread.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/err.h"
#include "staple/cache.h"

/* The ex-data of an X509.  Handshakes read the entry; the wish is the
 * setting-up thread's, and in the end whoever frees the certificate. */
struct holder {
	struct staple_entry *entry;
	enum staple_wish wish; /* the strongest of any policy so far */
};

static int holder_index = -1; /* of the ex-data; fixed once made */
static pthread_once_t holder_once = PTHREAD_ONCE_INIT;

/* ---- Ex-data ---- */

static void
on_free(void *parent, void *data, CRYPTO_EX_DATA *ex_data, int index, long argl,
    void *argp)
{
	struct holder *holder = data;

	(void)parent, (void)ex_data, (void)index, (void)argl, (void)argp;
	if (holder == NULL)
		return;
	staple_cache_release(holder->entry, holder->wish);
	free(holder);
}

static void
make_index(void)
{
	holder_index = X509_get_ex_new_index(0, NULL, NULL, NULL, on_free);
}

static struct holder *
holder_of(const X509 *certificate)
{
	pthread_once(&holder_once, make_index);
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
	return (held->hindrance != STAPLE_UNASKED ||
		   held->issuer_url_count > 0) &&
	       !held->urls_configured && held->staple_file == NULL;
}

/* A certificate as it is shown to us, and what is known of it. */
struct showing {
	const struct staple_watcher *watcher;
	X509 *certificate;
	STACK_OF(X509) * chain;
	const struct staple_source *source;
	bool found; /* in a context, which knows of no source */

	struct staple_entry *entry; /* a reference; NULL: none yet */
	struct staple_cert *held;   /* the entry's; a reference */
	struct staple_cert *sketch; /* a reference; NULL: not made yet */
};

static bool
make_sketch(struct showing *showing, struct err *err)
{
	if (showing->sketch == NULL)
		showing->sketch = staple_cert_sketch(
		    showing->certificate, showing->source, err);
	return showing->sketch != NULL;
}

/* The object itself knows its entry; any other has to be looked at first. */
static bool
look_up(struct showing *showing, struct err *err)
{
	struct staple_cache *cache = showing->watcher->cache;
	struct staple_entry *entry = staple_watch_entry(showing->certificate);

	if (entry != NULL && staple_entry_cache(entry) == cache) {
		staple_entry_ref(entry);
	} else {
		if (!make_sketch(showing, err))
			return false;
		entry = staple_cache_find(cache, showing->sketch->key);
	}
	showing->entry = entry;
	if (entry != NULL)
		showing->held = staple_entry_cert(entry);
	return true;
}

static void
drop(struct showing *showing)
{
	staple_cert_unref(showing->sketch);
	staple_cert_unref(showing->held);
	staple_entry_unref(showing->entry);
}

static bool
is_wanted(const struct showing *showing, const struct staple_cert *facts)
{
	const struct staple_policy *policy = showing->watcher->policy;

	return staple_cert_wish(facts, policy) != STAPLE_WISH_NONE ||
	       (showing->entry != NULL &&
		   staple_entry_wish(showing->entry) != STAPLE_WISH_NONE);
}

/* Does what is known go by the source that counts? */
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

/* What is to be known from now on; a reference. */
static struct staple_cert *
work_out(struct showing *showing, struct err *err)
{
	const struct staple_watcher *watcher = showing->watcher;
	struct staple_cert *base = showing->held;

	if (agrees(showing) && (!is_wanted(showing, base) || suffices(showing)))
		return staple_cert_ref(base);
	if (!agrees(showing) || base->complete) {
		if (!make_sketch(showing, err))
			return NULL;
		base = showing->sketch;
	}
	if (!is_wanted(showing, base))
		return staple_cert_ref(base);
	return staple_cert_complete(
	    base, showing->certificate, showing->chain, watcher->trust, err);
}

/* Keep a known issuer: a reload shows the same certificate without it, which
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

/* The same, or what is known already if that says as much. */
static struct staple_cert *
choose_facts(struct showing *showing, struct err *err)
{
	struct staple_cert *facts = keep_fetched_issuer(
	    showing, work_out(showing, err), err);
	struct staple_cert *held = showing->held;

	if (facts == NULL || held == NULL || facts == held ||
	    !staple_cert_says_same(facts, held))
		return facts;
	staple_cert_unref(facts);
	return staple_cert_ref(held);
}

/* ---- Holders ---- */

static bool
add_holder(X509 *certificate, struct staple_entry *entry, enum staple_wish wish)
{
	struct holder *holder = calloc(1, sizeof(*holder));

	if (holder == NULL)
		return false;
	*holder = (struct holder){ entry, wish };
	if (X509_set_ex_data(certificate, holder_index, holder) == 1)
		return true;
	ERR_clear_error();
	free(holder);
	return false;
}

/* In the place of a holder of a struct staple that was freed; or as the first
 * of this certificate. */
static bool
hold_anew(struct staple_cache *cache, X509 *certificate,
    struct staple_cert *facts, enum staple_wish wish)
{
	struct staple_entry *entry = staple_cache_hold(cache, facts, wish);
	struct holder *holder = holder_of(certificate);

	if (entry == NULL)
		return false;
	if (holder != NULL) {
		staple_cache_release(holder->entry, holder->wish);
		*holder = (struct holder){ entry, wish };
		return true;
	}
	if (add_holder(certificate, entry, wish))
		return true;
	staple_cache_release(entry, wish);
	return false;
}

static void
hold_on(struct holder *holder, struct staple_cert *facts, enum staple_wish wish)
{
	staple_cache_correct(holder->entry, facts);
	if (wish <= holder->wish)
		return;
	staple_cache_wish(holder->entry, holder->wish, wish);
	holder->wish = wish;
}

static bool
hold(struct staple_cache *cache, X509 *certificate, struct staple_cert *facts,
    enum staple_wish wish, struct err *err)
{
	struct holder *holder = holder_of(certificate);

	if (holder != NULL && staple_entry_cache(holder->entry) == cache) {
		hold_on(holder, facts, wish);
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
	if (hold_anew(cache, certificate, facts, wish))
		return true;
	err_set(err, "%s: out of memory", facts->name);
	return false;
}

/* Whoever shows a certificate again may know of a new staple_file. */
static void
look_at_file(X509 *certificate, const struct staple_cert *facts)
{
	if (facts->staple_file != NULL)
		staple_cache_look(staple_watch_entry(certificate));
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
		    staple_cert_wish(facts, watcher->policy), err);
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
