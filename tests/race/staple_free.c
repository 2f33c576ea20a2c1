/*
 * staple_free while handshakes run, and contexts that outlive it.  Each round a
 * struct staple is made, has a response pushed as a file, staples and is freed
 * while clients make handshakes, which go on without a staple.
 */
#include <stdio.h>
#include <stdlib.h>

#include "staple/staple.h"
#include "tests/race/shaker.h"
#include "tests/race/staple_rig.h"
#include "tests/support/authority.h"

enum { SHAKERS = 2, ROUNDS = 6, SOME = 5, PATIENCE_MS = 20000 };

static const struct staple_policy automatic = { .mode = STAPLE_AUTO };

static unsigned
run_round(
    const struct authority *authority, const struct pki *leaf, const char *path)
{
	const struct staple_source source = { .staple_file = path };
	SSL_CTX *context = authority_context(authority, leaf);
	struct staple *staple = staple_new(NULL, NULL, 0);
	struct shaker shakers[SHAKERS];
	unsigned stapled = 0;

	need(staple != NULL, "staple_new fails");
	need(staple_watch(staple, leaf->certificate, authority->chain, &source,
		 &automatic, NULL, 0),
	    "staple_watch fails");
	need(staple_attach(staple, context, &automatic, NULL, 0),
	    "staple_attach fails");
	for (int i = 0; i < SHAKERS; i++)
		need(shaker_start(&shakers[i], context), "no shaker");
	need(staple_start(staple, NULL, 0), "staple_start fails");
	need(staple_wait(staple, PATIENCE_MS), "it does not settle");
	for (int i = 0; i < SHAKERS; i++)
		shaker_watch(&shakers[i], SOME);
	staple_free(staple);
	for (int i = 0; i < SHAKERS; i++)
		shaker_watch(&shakers[i], SOME);
	for (int i = 0; i < SHAKERS; i++) {
		shaker_stop(&shakers[i]);
		stapled += atomic_load(&shakers[i].stapled);
	}
	SSL_CTX_free(context);
	return stapled;
}

int
main(void)
{
	struct pki_folder folder;
	struct authority authority;
	unsigned stapled = 0;
	struct pki leaf;
	char path[128];

	pki_folder_make(&folder);
	snprintf(path, sizeof(path), "%s/response.der", folder.path);
	authority_make(&authority);
	leaf = authority_issue(
	    &authority, &(struct pki_wish){ .feature = "status_request" });
	rig_push(path, &authority, &leaf);
	for (int i = 0; i < ROUNDS; i++)
		stapled += run_round(&authority, &leaf, path);
	pki_drop(&leaf);
	authority_drop(&authority);
	pki_folder_remove(&folder);
	printf("staple_free: %u stapled\n", stapled);
	return stapled > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
