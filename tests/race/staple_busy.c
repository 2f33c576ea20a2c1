/*
 * Everything at once: clients make handshakes, the staple thread reads a pushed
 * response and sends requests to a closed port, one thread calls the functions
 * that any thread may call, and main attaches, watches, configures, refreshes
 * and frees certificates.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "staple/staple.h"
#include "tests/race/shaker.h"
#include "tests/race/staple_rig.h"
#include "tests/support/authority.h"

enum { SHAKERS = 2, ROUNDS = 50, PATIENCE_MS = 20000 };

/* A certificate that comes and goes, with a responder URL whose port is
 * closed. */
struct passing {
	struct pki pki;
	char url[64];
};

struct looker {
	struct thread thread;
	struct staple *staple;
	X509 *certificate;
	atomic_bool stop;
};

static void
count(void *arg, const struct staple_info *info)
{
	*(unsigned *)arg += info->wanted;
}

/* Also what the log and on_change callbacks do: run on the staple thread. */
static void
on_change(void *arg, const struct staple_info *info)
{
	(void)info;
	atomic_fetch_add((atomic_uint *)arg, 1);
}

static void
on_log(void *arg, const struct staple_event *event)
{
	(void)arg;
	need(strlen(event->message) > 0, "an empty message");
}

static void
look(void *arg)
{
	struct looker *looker = arg;
	struct staple_info info;

	while (!atomic_load(&looker->stop)) {
		unsigned wanted = 0;

		staple_inspect(looker->staple, count, &wanted);
		need(wanted > 0, "nothing is wanted");
		need(staple_state(looker->staple, looker->certificate, &info),
		    "the certificate is not known");
		staple_wait(looker->staple, 1);
		staple_refresh(looker->staple);
	}
}

/* One round of a busy main thread.  Policies change under the clients' hands;
 * a context and a certificate come and go. */
static void
run_round(struct staple *staple, const struct authority *authority,
    SSL_CTX *context, const struct passing *passing, int round)
{
	const char *const urls[] = { passing->url };
	const struct staple_source source = { .urls = urls, .url_count = 1 };
	const struct staple_options options = {
		.method = round % 2 == 0 ? STAPLE_METHOD_GET
					 : STAPLE_METHOD_POST,
		.timeout_ms = 200
	};
	const struct staple_policy policies[] = { { .mode = STAPLE_AUTO },
		{ .mode = STAPLE_PREFER }, { .mode = STAPLE_NEVER } };
	X509 *object = X509_dup(passing->pki.certificate);
	SSL_CTX *brief = authority_context(authority, &passing->pki);

	need(object != NULL, "no copy");
	need(staple_attach(staple, context, &policies[round % 3], NULL, 0) &&
		 staple_attach(staple, brief, &policies[1], NULL, 0),
	    "staple_attach fails");
	/* Required by no policy at first, and with another source. */
	need(staple_watch(staple, object, authority->chain, NULL, &policies[2],
		 NULL, 0) &&
		 staple_watch(staple, object, authority->chain, &source,
		     &policies[1], NULL, 0),
	    "staple_watch fails");
	if (round % 10 == 0)
		need(staple_configure(staple, &options, NULL, 0),
		    "staple_configure fails");
	X509_free(object);
	SSL_CTX_free(brief);
}

static unsigned
race(struct staple *staple, const struct authority *authority,
    const struct pki *leaf, SSL_CTX *context)
{
	struct passing passing;
	int port = rig_port(false, passing.url, sizeof(passing.url));
	struct looker looker = { .staple = staple,
		.certificate = leaf->certificate };
	struct shaker shakers[SHAKERS];
	unsigned stapled = 0;

	passing.pki = authority_issue(
	    authority, &(struct pki_wish){ .name = "b" });
	need(staple_wait(staple, PATIENCE_MS), "it does not settle");
	for (int i = 0; i < SHAKERS; i++)
		need(shaker_start(&shakers[i], context), "no shaker");
	need(thread_start(&looker.thread, "looker", look, &looker, NULL),
	    "no looker");
	for (int i = 0; i < ROUNDS; i++)
		run_round(staple, authority, context, &passing, i);
	atomic_store(&looker.stop, true);
	thread_join(&looker.thread);
	for (int i = 0; i < SHAKERS; i++) {
		shaker_watch(&shakers[i], 1);
		shaker_stop(&shakers[i]);
		stapled += atomic_load(&shakers[i].stapled);
	}
	pki_drop(&passing.pki);
	close(port);
	return stapled;
}

int
main(void)
{
	static const struct staple_policy automatic = { .mode = STAPLE_AUTO };
	atomic_uint changes = 0;
	const struct staple_options options = {
		.log = on_log, .on_change = on_change, .arg = &changes
	};
	struct staple *staple = staple_new(&options, NULL, 0);
	struct pki_folder folder;
	struct authority authority;
	char path[128];
	const struct staple_source source = { .staple_file = path };
	struct pki leaf;
	SSL_CTX *context;
	unsigned stapled;

	need(staple != NULL, "staple_new fails");
	pki_folder_make(&folder);
	snprintf(path, sizeof(path), "%s/response.der", folder.path);
	authority_make(&authority);
	leaf = authority_issue(
	    &authority, &(struct pki_wish){ .feature = "status_request" });
	rig_push(path, &authority, &leaf);
	context = authority_context(&authority, &leaf);
	need(staple_watch(staple, leaf.certificate, authority.chain, &source,
		 &automatic, NULL, 0) &&
		 staple_attach(staple, context, &automatic, NULL, 0) &&
		 staple_start(staple, NULL, 0),
	    "it cannot be started");
	stapled = race(staple, &authority, &leaf, context);
	staple_free(staple);
	SSL_CTX_free(context);
	pki_drop(&leaf);
	authority_drop(&authority);
	pki_folder_remove(&folder);
	printf("staple_busy: %u stapled, %u changes\n", stapled,
	    atomic_load(&changes));
	return stapled > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
