/*
 * What the tests of handshakes share: an authority, two certificates, a cache,
 * a server's context and a client.  Set up and torn down by each test.
 */
#ifndef UNIT_STAPLE_ATTACH_RIG_H
#define UNIT_STAPLE_ATTACH_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "staple/staple.h"
#include "tests/support/authority.h"
#include "tests/support/shake.h"

enum { RIG_VERSIONS = 2, RIG_HOUR = 3600 };

struct rig {
	struct authority authority;
	struct pki leaf;  /* P-256, must-staple */
	struct pki other; /* RSA, must-staple */
	struct pki plain; /* P-256, not must-staple */
	struct staple_cache *cache;
	SSL_CTX *context; /* shows leaf; not attached */
	SSL_CTX *client;
};
extern struct rig rig;

struct rig_version {
	const char *what;
	int number;
};
extern const struct rig_version rig_versions[RIG_VERSIONS];

extern const struct staple_policy rig_automatic, rig_always, rig_never;

void rig_up(void);
void rig_down(void);

/* Attach to the cache; must succeed. */
void rig_attach(SSL_CTX *context, const struct staple_policy *policy);

/* As the staple thread would: a response that ends `left` seconds from now. */
void rig_publish(const struct pki *about, enum ocsp_status status, int left);

struct staple_info rig_look(const struct pki *about);

/* A handshake with rig.context by a client that asks. */
struct shaken rig_ask(int version);

/* Was the client sent the very bytes that are held for this certificate? */
bool rig_is_staple(const struct shaken *shaken, const struct pki *about);

#endif
