/*
 * Issuers that are neither in a chain nor in ca_file or the system's store:
 * they are fetched from the caIssuers URLs of the certificate (RFC 5280
 * 4.2.2.1).  The only condition is that the issuer's key signed the
 * certificate. Trust is not checked: clients verify the chain and the staple.
 *
 * struct staple_issuers caches them and recent failures, so that a thousand
 * certificates of one CA cost few fetches: a plain value, zero at birth, staple
 * thread only.  The functions without it run on any thread.
 */
#ifndef STAPLE_ISSUERS_H
#define STAPLE_ISSUERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#include "base/attr.h"
#include "staple/cert.h"
#include "staple/fetch.h"
#include "staple/response.h"

struct err;
struct staple_store;

#define STAPLE_ISSUERS_MAX 64
#define STAPLE_ISSUER_BYTES_MAX ((size_t)64 * 1024)

/* How long a URL that failed for one certificate is skipped for others. */
#define STAPLE_ISSUER_REST_MS (15 * 1000)

struct staple_issuers {
	struct staple_known_issuer {
		X509 *certificate; /* owned reference; NULL: none */
		enum staple_origin origin;
	} known[STAPLE_ISSUERS_MAX];
	unsigned next;

	struct staple_failed_issuer {
		uint64_t what;     /* a hash of the URL and the issuer's name */
		const void *owner; /* of the failed fetch */
		int64_t until_ms;  /* monotonic */
		char said[160];
	} failed[STAPLE_ISSUERS_MAX];
	unsigned next_failed;

	bool reported; /* a saved issuer that does not fit was logged */
};

void staple_issuers_fini(struct staple_issuers *issuers);

/* A reference is taken; the oldest of more than STAPLE_ISSUERS_MAX goes. */
void staple_issuers_add(
    struct staple_issuers *issuers, X509 *issuer, enum staple_origin origin);

/* The one that signed the certificate; borrowed.  NULL: none. */
X509 *staple_issuers_find(const struct staple_issuers *issuers,
    const struct staple_cert *cert, enum staple_origin *origin);

/* Record that fetching cert->issuer_urls[url] failed for this owner. */
void staple_issuers_fail(struct staple_issuers *issuers,
    const struct staple_cert *cert, size_t url, const void *owner,
    const char *said, int64_t mono_ms);

/* The words of a recent failure for another owner; NULL: the URL may be
 * fetched. */
const char *staple_issuers_failed(const struct staple_issuers *issuers,
    const struct staple_cert *cert, size_t url, const void *owner,
    int64_t mono_ms);

/* Fetch cert->issuer_urls[url]; cert must live until the exchange has ended.
 * NULL: as staple_fetch_start. */
struct staple_fetch *staple_issuer_fetch(struct staple_fetcher *fetcher,
    const struct staple_cert *cert, size_t url, uint32_t timeout_ms,
    staple_fetch_fn *done, void *arg) MUST_CHECK;

/*
 * From what was fetched: the issuer (the caller's reference), in DER, PEM or
 * PKCS #7 (RFC 5280 4.2.2.1), with checked->outcome GOOD; or NULL with the
 * outcome of the exchange, MALFORMED, WRONG_CERTIFICATE.  checked->said is
 * never empty.
 */
X509 *staple_issuer_check(const struct staple_cert *cert,
    const struct staple_fetch_result *result,
    struct staple_result *checked) MUST_CHECK;

/*
 * In the store an issuer has the same id for all its certificates: SHA-256 of
 * their issuer name and authority key identifier.  NULL with an empty err: no
 * file.  NULL with text in err: the file cannot be used.
 */
X509 *staple_issuer_load(struct staple_store *store,
    const struct staple_cert *cert, struct err *err) MUST_CHECK;
bool staple_issuer_id(X509 *leaf,
    char id[2 * STAPLE_KEY_SIZE + 1]) MUST_CHECK; /* false: no memory */

#endif
