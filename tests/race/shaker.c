/* A client in a loop; each version in turn. */
#include "tests/race/shaker.h"

#include <sched.h>

#include "tests/support/shake.h"

static void
shake_on(void *arg)
{
	struct shaker *shaker = arg;
	SSL_CTX *client = shake_client();
	struct shake_wish wish = { .ask = true };

	while (!atomic_load(&shaker->stop)) {
		struct shaken shaken;

		wish.version = wish.version == TLS1_3_VERSION ? TLS1_2_VERSION
							      : TLS1_3_VERSION;
		shaken = shake(shaker->server, client, &wish);
		if (shaken.staple != NULL)
			atomic_fetch_add(&shaker->stapled, 1);
		atomic_fetch_add(&shaker->shaken, 1);
		shaken_drop(&shaken);
	}
	SSL_CTX_free(client);
}

bool
shaker_start(struct shaker *shaker, SSL_CTX *server)
{
	*shaker = (struct shaker){ .server = server };
	return thread_start(&shaker->thread, "shaker", shake_on, shaker, NULL);
}

void
shaker_watch(struct shaker *shaker, unsigned count)
{
	unsigned before = atomic_load(&shaker->shaken);

	while (atomic_load(&shaker->shaken) - before < count)
		sched_yield();
}

void
shaker_stop(struct shaker *shaker)
{
	atomic_store(&shaker->stop, true);
	thread_join(&shaker->thread);
}
