/*
 * The common name of a certificate.  One answer for the rule that lets a
 * client in, the log, and the PROXY header: they must not read it differently.
 * Pure; any thread.
 */
#ifndef TLS_COMMON_NAME_H
#define TLS_COMMON_NAME_H

#include "base/attr.h"

typedef struct x509_st X509;

/*
 * The subject's most specific (last) common name, as UTF-8.  NULL: there is
 * none, it is empty or no text, it has a NUL in it, or no memory.
 * OPENSSL_free it.
 */
char *common_name_of(const X509 *certificate) MUST_CHECK;

#endif
