/*
 * Who is believed to vouch for clients: the certificates of ca_file and the
 * revocation lists of crl_file.  Immutable after loading, counted; any thread
 * may hold a reference.  Loading blocks on the disk: main thread.
 */
#ifndef TLS_TRUST_H
#define TLS_TRUST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"

struct err;
struct trust;
struct stack_st_X509_NAME;
struct x509_st;
struct x509_store_st;

/*
 * crl_file may be NULL.  NULL and *err (names the file): it cannot be read,
 * holds no certificate (no CRL), one is damaged, or a list is of a kind that
 * OpenSSL would pass over (delta, indirect, of some reasons alone).  *warning (may be NULL; ""
 * when none) names lists that cannot help: expired, expiring within seven
 * days, not yet valid, or of nobody in ca_file.  Such lists fail closed:
 * clients of an issuer without a valid list are refused.  It also tells of a
 * ca_file without the root that crl_check = chain needs.
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
 * never.  A list does not count if a later whole one of its issuer is there. */
int64_t trust_lists_end(const struct trust *trust);

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

/* Does a list belong to an issuer in ca_file? true without lists. */
bool trust_lists_fit(const struct trust *trust);

/* For contexts: the store, with its flags set, and the names to ask for
 * (RFC 8446 section 4.2.4; none when they are too many).  Borrowed. */
struct x509_store_st *trust_store(const struct trust *trust);
struct stack_st_X509_NAME *trust_names(const struct trust *trust);

#endif
