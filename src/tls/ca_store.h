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
struct ca_store;
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
struct ca_store *ca_store_load(const char *ca_file, const char *crl_file,
    enum config_crl_check check, int64_t now_s, struct err *warning,
    struct err *err) MUST_CHECK;
struct ca_store *ca_store_ref(struct ca_store *ca_store);
void ca_store_unref(struct ca_store *ca_store); /* NULL ok */

/* SHA-256 of everything it says: certificates, lists, and how they are used;
 * the same on every machine. */
const uint8_t *ca_store_digest(const struct ca_store *ca_store);

/* Is this very certificate in ca_file? */
bool ca_store_has(
    const struct ca_store *ca_store, const struct x509_st *certificate);

/* When the first of its lists ends (seconds, epoch), for warnings; INT64_MAX:
 * never.  Of several lists of one issuer only the newest counts. */
int64_t ca_store_crls_end(const struct ca_store *ca_store);
/* The thisUpdate of that list. */
int64_t ca_store_crls_start(const struct ca_store *ca_store);

/*
 * When the list of this certificate's issuer ends, for sessions: a full
 * handshake would refuse the client then, and the clients of other issuers
 * would not notice.  Of several lists (parts of a whole) the first to end.
 * INT64_MAX: there is none.  ca_store_checks_chain: are the lists for the whole
 * chain, or for the leaf alone?
 */
int64_t ca_store_crl_end(
    const struct ca_store *ca_store, const struct x509_st *certificate);
bool ca_store_checks_chain(const struct ca_store *ca_store);

/*
 * crl_check = available: looks up every certificate above the leaf for whose
 * issuer there is a list.  chain: as verified, the leaf first.  X509_V_OK,
 * CERT_REVOKED, CRL_HAS_EXPIRED or CRL_NOT_YET_VALID; *depth is where.  Always
 * X509_V_OK with another crl_check, where OpenSSL does it.  Any thread.
 */
int ca_store_check_chain(const struct ca_store *ca_store,
    struct stack_st_X509 *chain, int64_t now_s, int *depth) MUST_CHECK;

/*
 * Does `fresh` hold an older list than `held` for one issuer (RFC 5280 section
 * 5.2.3: the cRLNumber, else thisUpdate)?  Then *err names both.
 */
bool ca_store_is_rollback(const struct ca_store *fresh,
    const struct ca_store *current, const char *path, struct err *err);

/* Does a list belong to an issuer in ca_file? true without lists. */
bool ca_store_crls_fit(const struct ca_store *ca_store);

/* For contexts: the store, with its flags set, and the names to ask for
 * (RFC 8446 section 4.2.4; none when they are too many).  Borrowed. */
struct x509_store_st *ca_store_x509_store(const struct ca_store *ca_store);
struct stack_st_X509_NAME *ca_store_names(const struct ca_store *ca_store);

#endif
