/*
 * A folder of CA files and lists, and the certificates they speak of: what the
 * tests of trust load.  One thread; aborts when the set-up fails.
 */
#ifndef TESTS_UNIT_TLS_TRUST_RIG_H
#define TESTS_UNIT_TLS_TRUST_RIG_H

#include <stddef.h>
#include <stdint.h>

#include "tests/support/pki.h"
#include "tls/trust.h"

/* 2026-01-01, the time of loading; lists end in 2099 or 2021. */
#define TRUST_RIG_NOW INT64_C(1767225600)
#define TRUST_RIG_END INT64_C(4070908800)
#define TRUST_RIG_PAST INT64_C(1609459200)

struct trust_rig {
	struct pki_folder folder;
	struct pki root, other, mid; /* CAs; mid is of root */
	struct pki false_root;       /* the name of root */
	struct pki near, far;        /* clients of root, and of mid */
	struct pki server;           /* of root: for servers alone */
};
extern struct trust_rig trust_rig;

void trust_rig_open(void);
void trust_rig_close(void);

/* Of a file in the folder; free() it. */
char *trust_rig_path(const char *name);

/* "@" becomes the folder. */
void trust_rig_sentence(const char *text, char *out, size_t max);

/* Files of the folder; lists and said may be NULL.  Aborts on failure. */
struct trust *trust_rig_load(const char *ca, const char *lists,
    enum config_crl_check check, struct err *said);

/* One PEM block. */
void trust_rig_write_der(
    const char *name, const char *type, const unsigned char *der, long len);

/* So many CAs with long names. */
void trust_rig_write_crowd(const char *name, int count);

#endif
