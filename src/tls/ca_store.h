/*
 * The CA store for client certificates: the certificates of ca_file and the
 * CRLs of crl_file.  Immutable after loading, counted; any thread may own a
 * reference.  Loading blocks on the disk: main thread.
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
 * crl_file may be NULL.  NULL and *err (names the file): it cannot be read, has
 * no certificate (no CRL), one is damaged, or a CRL is of a kind that OpenSSL
 * ignores (delta, indirect, of some reasons only).  *warning (may be NULL; ""
 * when there is none) names CRLs that are expired, near their end
 * (validity_warning), not yet valid, or signed by no certificate of ca_file.
 * Such CRLs fail closed: clients of an issuer without a valid CRL are refused.
 * *warning also names a ca_file without the root that crl_check = chain needs.
 */
struct ca_store *ca_store_load(const char *ca_file, const char *crl_file,
    enum config_crl_check check, int64_t now_s, struct err *warning,
    struct err *err) MUST_CHECK;
struct ca_store *ca_store_ref(struct ca_store *ca_store);
void ca_store_unref(struct ca_store *ca_store); /* NULL ok */

/* SHA-256 of the certificates, the CRLs and how they are used; the same on
 * every machine. */
const uint8_t *ca_store_digest(const struct ca_store *ca_store);

/* Is exactly this certificate in ca_file? */
bool ca_store_has(
    const struct ca_store *ca_store, const struct x509_st *certificate);

/* The nextUpdate of the CRL that ends first (epoch seconds), for warnings;
 * INT64_MAX: none ends.  Of several CRLs of one issuer only the newest
 * counts. */
int64_t ca_store_crls_end(const struct ca_store *ca_store);
/* The thisUpdate of that CRL. */
int64_t ca_store_crls_start(const struct ca_store *ca_store);

/*
 * The end of the CRL of this certificate's issuer, for sessions: from then on a
 * full handshake refuses the client.  Of several CRLs (partitions) the first
 * end.  INT64_MAX: there is no CRL.  ca_store_checks_chain: do CRLs apply to
 * the whole chain, or to the leaf only?
 */
int64_t ca_store_crl_end(
    const struct ca_store *ca_store, const struct x509_st *certificate);
bool ca_store_checks_chain(const struct ca_store *ca_store);

/* Visit the CRLs: the issuer in one line, escaped, and nextUpdate (epoch
 * seconds; INT64_MAX: none). */
typedef void ca_store_crl_fn(
    void *arg, const char *issuer, int64_t next_update_s);
void ca_store_each_crl(
    const struct ca_store *ca_store, ca_store_crl_fn *visit, void *arg);

/*
 * crl_check = available: look up every certificate above the leaf whose issuer
 * has a CRL.  chain: as verified, the leaf first.  X509_V_OK, CERT_REVOKED,
 * CRL_HAS_EXPIRED or CRL_NOT_YET_VALID; *depth is the place of the certificate.
 * Always X509_V_OK with another crl_check, which OpenSSL does.  Any thread.
 */
int ca_store_check_chain(const struct ca_store *ca_store,
    struct stack_st_X509 *chain, int64_t now_s, int *depth) MUST_CHECK;

/*
 * Does `fresh` have an older CRL than `current` for one issuer (RFC 5280
 * section 5.2.3: by cRLNumber, else by thisUpdate)?  Then *err names both.
 */
bool ca_store_is_rollback(const struct ca_store *fresh,
    const struct ca_store *current, const char *path, struct err *err);

/* Is at least one CRL signed by a certificate of ca_file?  true without
 * CRLs. */
bool ca_store_crls_fit(const struct ca_store *ca_store);

/* For contexts: the store with its flags set, and the CA names for the
 * CertificateRequest (RFC 8446 section 4.2.4; none when they are too many).
 * Borrowed. */
struct x509_store_st *ca_store_x509_store(const struct ca_store *ca_store);
struct stack_st_X509_NAME *ca_store_names(const struct ca_store *ca_store);

/* The paths of OpenSSL as it was built: its folder, modules, CA file, CA folder.
 * NULL after the last. */
const char *ca_store_default_path(unsigned index);

#endif
