/*
 * The certificates of a PEM file, leaf first, in the file's order; whatever
 * else the file holds is passed over.  A plain value with one owner.  Main
 * thread (blocks on the disk).
 */
#ifndef TLS_CHAIN_H
#define TLS_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct chain_cache;
struct err;
struct pem;

typedef struct x509_st X509;
struct stack_st_X509;
struct X509_name_st;

struct chain {
	X509 *leaf;
	struct stack_st_X509 *rest; /* without the leaf; perhaps empty */
};

/* false: *err names the path: no certificate in it, one is damaged, or (load)
 * it cannot be read.  Drop it in every case.  cache: for those behind the
 * leaf; NULL: none. */
bool chain_decode(struct chain *chain, struct chain_cache *cache,
    const struct pem *pem, const char *path, struct err *err) MUST_CHECK;
bool chain_load(
    struct chain *chain, const char *path, struct err *err) MUST_CHECK;
void chain_drop(struct chain *chain); /* a zeroed one is fine */

/* For people: the serial number in hex, and a name (that of the issuer) as RFC
 * 4514 writes it, escaped; cut to max bytes. */
void chain_print_serial(const X509 *certificate, char *text, size_t max);
void chain_print_name(const struct X509_name_st *name, char *text, size_t max);
void chain_print_issuer(const X509 *certificate, char *text, size_t max);

#endif
