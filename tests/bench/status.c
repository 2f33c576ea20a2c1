/*
 * What the status callback costs, alone and contended: N threads call the one
 * that staple_attach put on a context, as OpenSSL would in a handshake, while
 * another thread may exchange the response all the time.  The hard decision:
 * time is each thread's own CPU clock, so that two cores can measure eight
 * threads, and the longest of many single calls is printed beside it.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/thread.h"
#include "staple/cache.h"
#include "staple/openssl_hooks.h"
#include "staple/response.h"
#include "staple/staple.h"
#include "tests/support/ocsp.h"
#include "tests/support/pki.h"

enum { THREADS_MAX = 64, BATCH = 64, NS = 1000000000 };

struct stage {
	struct pki ca, leaf;
	struct staple *staple;
	SSL_CTX *context;
	struct staple_entry *entry;
	struct staple_response *responses[2];
	atomic_bool go, stop;
	atomic_uint_fast64_t published;
};

struct reader {
	struct stage *stage;
	struct thread thread;
	uint64_t calls, stapled;
	int64_t cpu_ns, longest_ns;
};

static void
need(bool fine, const char *what)
{
	if (fine)
		return;
	fprintf(stderr, "status: %s\n", what);
	exit(1);
}

static int64_t
read_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * NS + now.tv_nsec;
}

static struct staple_response *
make_response(struct stage *stage, struct staple_cert *cert, int64_t age_s)
{
	int64_t now = clock_wall_ms() / 1000;
	const struct ocsp_wish wish = { .leaf = &stage->leaf,
		.issuer = &stage->ca,
		.this_update = now - age_s,
		.next_update = now + 3600 };
	const struct staple_clock clock = { now, 86400 };
	struct ocsp_made made = ocsp_make(&wish);
	struct staple_result verdict;
	struct staple_response *response;

	response = staple_response_verify(
	    cert, made.der, made.len, &clock, &verdict);
	need(response != NULL, "a response is not accepted");
	ocsp_drop(&made);
	return response;
}

static void
open_stage(struct stage *stage)
{
	const struct pki_wish ca = { .name = "CA", .ca = true };
	struct pki_wish leaf = { .name = "leaf", .issuer = &stage->ca };
	const struct staple_policy policy = { .mode = STAPLE_ALWAYS };
	struct staple_cert *cert;
	char why[256];

	stage->ca = pki_make(&ca);
	stage->leaf = pki_make(&leaf);
	stage->context = SSL_CTX_new(TLS_server_method());
	need(SSL_CTX_use_certificate(stage->context, stage->leaf.certificate) &&
		 SSL_CTX_use_PrivateKey(stage->context, stage->leaf.key) &&
		 SSL_CTX_add1_chain_cert(stage->context, stage->ca.certificate),
	    "no context");
	stage->staple = staple_new(NULL, why, sizeof(why));
	need(stage->staple && staple_attach(stage->staple, stage->context,
				  &policy, why, sizeof(why)),
	    why);
	stage->entry = staple_watch_entry(stage->leaf.certificate);
	cert = staple_entry_cert(stage->entry);
	stage->responses[0] = make_response(stage, cert, 120);
	stage->responses[1] = make_response(stage, cert, 60);
	staple_cert_unref(cert);
	staple_cache_publish(stage->entry, stage->responses[0]);
}

static void
close_stage(struct stage *stage)
{
	staple_response_unref(stage->responses[0]);
	staple_response_unref(stage->responses[1]);
	SSL_CTX_free(stage->context);
	staple_free(stage->staple);
	pki_drop(&stage->leaf);
	pki_drop(&stage->ca);
}

/* A connection that is past its handshake: the callback looks at what was
 * agreed. */
static SSL *
open_connection(struct stage *stage)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *server = SSL_new(stage->context), *client = SSL_new(context);
	BIO *one, *other;
	int i;

	need(server && client && BIO_new_bio_pair(&one, 0, &other, 0) == 1,
	    "no connection");
	SSL_set_bio(server, one, one);
	SSL_set_bio(client, other, other);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	for (i = 0; i < 8 && SSL_do_handshake(server) != 1; i++)
		(void)SSL_do_handshake(client);
	need(SSL_is_init_finished(server), "no handshake");
	SSL_free(client);
	SSL_CTX_free(context);
	return server;
}

typedef int status_fn(SSL *ssl, void *arg);

static void
read_staples(void *arg)
{
	struct reader *reader = arg;
	struct stage *stage = reader->stage;
	SSL *ssl = open_connection(stage);
	status_fn *call = NULL;
	void *call_arg = NULL;
	int64_t began, took;
	int i;

	SSL_CTX_get_tlsext_status_cb(stage->context, &call);
	SSL_CTX_get_tlsext_status_arg(stage->context, &call_arg);
	need(call != NULL, "no status callback");
	while (!atomic_load(&stage->go))
		;
	reader->cpu_ns = -read_ns(CLOCK_THREAD_CPUTIME_ID);
	while (!atomic_load_explicit(&stage->stop, memory_order_relaxed)) {
		began = read_ns(CLOCK_MONOTONIC);
		for (i = 0; i < BATCH; i++)
			reader->stapled += call(ssl, call_arg) ==
					   SSL_TLSEXT_ERR_OK;
		took = read_ns(CLOCK_MONOTONIC) - began;
		if (took > reader->longest_ns)
			reader->longest_ns = took;
		reader->calls += BATCH;
	}
	reader->cpu_ns += read_ns(CLOCK_THREAD_CPUTIME_ID);
	SSL_free(ssl);
}

static void
publish(void *arg)
{
	struct stage *stage = arg;
	uint64_t i;

	for (i = 0; !atomic_load(&stage->stop); i++)
		staple_cache_publish(stage->entry, stage->responses[i % 2]);
	atomic_store(&stage->published, i);
}

/* What the readers of one run have seen. */
struct total {
	uint64_t calls, stapled;
	int64_t cpu_ns, longest_ns;
};

static void
add_reader(struct total *total, const struct reader *reader)
{
	total->calls += reader->calls;
	total->stapled += reader->stapled;
	total->cpu_ns += reader->cpu_ns;
	if (reader->longest_ns > total->longest_ns)
		total->longest_ns = reader->longest_ns;
}

static void
let_run(struct stage *stage, double seconds)
{
	struct timespec pause = { (time_t)seconds,
		(long)((seconds - (double)(time_t)seconds) * NS) };

	atomic_store(&stage->go, true);
	nanosleep(&pause, NULL);
	atomic_store(&stage->stop, true);
}

static void
run(struct stage *stage, struct total *total, unsigned threads, bool publishing,
    double seconds)
{
	struct reader readers[THREADS_MAX];
	struct thread publisher;
	unsigned i;

	memset(readers, 0, sizeof(readers));
	for (i = 0; i < threads; i++) {
		readers[i].stage = stage;
		need(thread_start(&readers[i].thread, "reader", read_staples,
			 &readers[i], NULL),
		    "no thread");
	}
	need(!publishing ||
		 thread_start(&publisher, "publisher", publish, stage, NULL),
	    "no thread");
	let_run(stage, seconds);
	for (i = 0; i < threads; i++) {
		thread_join(&readers[i].thread);
		add_reader(total, &readers[i]);
	}
	if (publishing)
		thread_join(&publisher);
}

static void
measure(struct stage *stage, unsigned threads, bool publishing, double seconds)
{
	struct total total = { 0 };

	atomic_store(&stage->go, false);
	atomic_store(&stage->stop, false);
	atomic_store(&stage->published, 0);
	run(stage, &total, threads, publishing, seconds);
	need(total.stapled == total.calls, "a client that asked got nothing");
	printf(
	    "%u readers, %s publishing: %.0f ns of CPU a call, %.0f calls/s, "
	    "%.0f published/s, the longest %d calls %.1f ms\n",
	    threads, publishing ? "one" : "nobody",
	    (double)total.cpu_ns / (double)total.calls,
	    (double)total.calls / seconds,
	    (double)atomic_load(&stage->published) / seconds, BATCH,
	    (double)total.longest_ns / 1e6);
}

int
main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 2;
	struct stage stage;

	memset(&stage, 0, sizeof(stage));
	open_stage(&stage);
	measure(&stage, 1, false, seconds);
	measure(&stage, 1, true, seconds);
	measure(&stage, 8, false, seconds);
	measure(&stage, 8, true, seconds);
	close_stage(&stage);
	return 0;
}
