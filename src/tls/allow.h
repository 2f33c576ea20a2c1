/*
 * allow_san and allow_cn: does a verified client's certificate match one of
 * the patterns?  Pure; any thread.
 */
#ifndef TLS_ALLOW_H
#define TLS_ALLOW_H

#include <stdbool.h>

#include "base/attr.h"
#include "config/config.h"

typedef struct x509_st X509;

/*
 * true: the settings have neither key, or one pattern of either matches.
 * "dns:" (or none): host names, "*." stands for one label, without case;
 * "email:" an address, or "*@domain"; "uri:" exact, or a prefix that ends
 * with "*" ("uri:spiffe://a.example/ns/" then anything); "ip:" an address or
 * a CIDR range.  allow_cn: exact without case, or "*.name".  A name with a NUL
 * in it matches nothing, nor does a host or common name with a "*".
 */
bool allow_matches(const struct config_listener *settings, X509 *certificate);

#endif
