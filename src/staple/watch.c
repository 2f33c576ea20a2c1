/*
 * What is tied to a certificate.  Watching is done by the thread that sets
 * up; handshakes of any thread look at the entry; the hook that lets go runs
 * wherever the last reference to the X509 is dropped, maybe after staple_free.
 *
 * The decision to question is that facts equal to those that are known are
 * dropped: a reload shows every certificate anew, and must ask nobody.
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

/* Nobody can be asked with what is known, and its source is not to blame. */
static bool
wants_help(const struct staple_cert *held)
{
	return held->hindrance != STAPLE_UNASKED && !held->urls_configured &&
	       held->staple_file == NULL;
}

/* These facts or those that are known already; a reference. */
static struct staple_cert *
choose_facts(struct staple_cache *cache, struct staple_cert *fresh, bool found)
{
	struct staple_entry *entry = staple_cache_find(cache, fresh->key);
	struct staple_cert *held;

	if (entry == NULL)
		return staple_cert_ref(fresh);
	held = staple_entry_cert(entry);
	staple_entry_unref(entry);
	if (staple_cert_says_same(fresh, held) || (found && !wants_help(held)))
		return held;
	staple_cert_unref(held);
	return staple_cert_ref(fresh);
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

static bool
watch(const struct staple_watcher *watcher, X509 *certificate,
    struct staple_cert *fresh, bool found, struct err *err)
{
	struct staple_cert *facts;
	bool held;

	if (fresh == NULL)
		return false;
	facts = choose_facts(watcher->cache, fresh, found);
	held = hold(watcher->cache, certificate, facts,
	    staple_cert_wish(facts, watcher->policy), err);
	staple_cert_unref(facts);
	staple_cert_unref(fresh);
	return held;
}

bool
staple_watch_certificate(const struct staple_watcher *watcher,
    X509 *certificate, STACK_OF(X509) * chain,
    const struct staple_source *source, struct err *err)
{
	return watch(watcher, certificate,
	    staple_cert_new(certificate, chain, source, watcher->trust, err),
	    false, err);
}

bool
staple_watch_found(const struct staple_watcher *watcher, X509 *certificate,
    STACK_OF(X509) * chain, struct err *err)
{
	return watch(watcher, certificate,
	    staple_cert_new(certificate, chain, NULL, watcher->trust, err),
	    true, err);
}
