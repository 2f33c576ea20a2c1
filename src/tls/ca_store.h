/*
 * Who is believed to vouch for clients: the certificates of ca_file and the
 * revocation lists of crl_file.  Immutable after loading, counted; any thread
 * may hold a reference.  Loading blocks on the disk: main thread.
 */
#ifndef TLS_CA_STORE_H
#define TLS_CA_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"

struct err;
struct stack_st_X509;
struct trust;
struct stack_st_X509_NAME;
struct x509_st;
struct x509_store_st;

/*
 * crl_file may be NULL.  NULL and *err (names the file): it cannot be read,
 * holds no certificate (no CRL), one is damaged, or a list is of a kind that
 * OpenSSL would pass over (delta, indirect, of some reasons alone).  *warning
 * (may be NULL; "" when none) names lists that cannot help: expired, near their
 * end (tls/identity.h), not yet valid, or issued by no certificate of ca_file.
 * Such lists fail closed: clients of an issuer without a valid list are
 * refused.  It also names a ca_file without the root that crl_check = chain
 * needs.
 */
struct trust *trust_load(const char *ca_file, const char *crl_file,
    enum config_crl_check check, int64_t now_s, struct err *warning,
    struct err *err) MUST_CHECK;
struct trust *trust_ref(struct trust *trust);
void trust_unref(struct trust *trust); /* NULL ok */

/* SHA-256 of everything it says: certificates, lists, and how they are used;
 * the same on every machine. */
const uint8_t *trust_digest(const struct trust *trust);

/* Is this very certificate in ca_file? */
bool trust_holds(const struct trust *trust, const struct x509_st *certificate);

/* When the first of its lists ends (seconds, epoch), for warnings; INT64_MAX:
 * never.  Of several lists of one issuer only the newest counts. */
int64_t trust_lists_end(const struct trust *trust);
/* The thisUpdate of that list. */
int64_t trust_lists_from(const struct trust *trust);

/*
 * When the list of this certificate's issuer ends, for sessions: a full
 * handshake would refuse the client then, and the clients of other issuers
 * would not notice.  Of several lists (parts of a whole) the first to end.
 * INT64_MAX: there is none.  trust_checks_chain: are the lists for the whole
 * chain, or for the leaf alone?
 */
int64_t trust_list_end(
    const struct trust *trust, const struct x509_st *certificate);
bool trust_checks_chain(const struct trust *trust);

/*
 * crl_check = available: looks up every certificate above the leaf for whose
 * issuer there is a list.  chain: as verified, the leaf first.  X509_V_OK,
 * CERT_REVOKED, CRL_HAS_EXPIRED or CRL_NOT_YET_VALID; *depth is where.  Always
 * X509_V_OK with another crl_check, where OpenSSL does it.  Any thread.
 */
int trust_check_chain(const struct trust *trust, struct stack_st_X509 *chain,
    int64_t now_s, int *depth) MUST_CHECK;

/*
 * Does `fresh` hold an older list than `held` for one issuer (RFC 5280 section
 * 5.2.3: the cRLNumber, else thisUpdate)?  Then *err names both.
 */
bool trust_is_rollback(const struct trust *fresh, const struct trust *held,
    const char *path, struct err *err);

/* Does a list belong to an issuer in ca_file? true without lists. */
bool trust_lists_fit(const struct trust *trust);

/* For contexts: the store, with its flags set, and the names to ask for
 * (RFC 8446 section 4.2.4; none when they are too many).  Borrowed. */
struct x509_store_st *trust_store(const struct trust *trust);
struct stack_st_X509_NAME *trust_names(const struct trust *trust);

#endif
