/*
 * Certificates with responses in files.  One thread, beside the staple thread,
 * which only uses the semaphore.
 */
#include "tests/support/stapled.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "runtime/generation.h"
#include "runtime/stapling.h"

#define PATIENCE_S 20

static void
need(bool fine, const char *what)
{
	if (fine)
		return;
	fprintf(stderr, "stapled: %s\n", what);
	abort();
}

void
stapled_open(struct stapled *stapled)
{
	const struct pki_wish wish = { .name = "test CA", .ca = true };
	const struct config *config;
	struct err err = { "" };

	memset(stapled, 0, sizeof(*stapled));
	site_open(&stapled->site, 1);
	need(sem_init(&stapled->changed, 0, 0) == 0, "no semaphore");
	stapled->ca = pki_make(&wish);
	config = site_config(&stapled->site,
	    "[listener a]\naccept = 0\nconnect = 1\ncert = cert.pem\n"
	    "key = key.pem\n");
	stapled->site.parts.stapling = stapling_new(config, NULL, false, &err);
	need(stapled->site.parts.stapling != NULL, err.text);
	config_unref(config);
}

void
stapled_close(struct stapled *stapled)
{
	stapling_free(stapled->site.parts.stapling);
	pki_drop(&stapled->ca);
	sem_destroy(&stapled->changed);
	site_close(&stapled->site);
}

static void
on_changed(void *arg)
{
	sem_post(arg);
}

void
stapled_run(struct stapled *stapled)
{
	struct err err = { "" };

	need(stapling_start(stapled->site.parts.stapling, on_changed,
		 &stapled->changed, &err),
	    err.text);
}

struct pki
stapled_issue(
    struct stapled *stapled, const char *file, const struct pki_wish *wish)
{
	struct pki_wish ours = *wish;
	struct pki leaf;
	char *cert, *ca, *key, *chain, *all;

	ours.issuer = &stapled->ca;
	leaf = pki_make(&ours);
	cert = pki_certificate_pem(&leaf);
	ca = pki_certificate_pem(&stapled->ca);
	key = pki_key_pem(&leaf);
	chain = pki_join(cert, ca);
	all = pki_join(chain, key);
	free(pki_write(&stapled->site.folder, file, all));
	free(cert);
	free(ca);
	free(key);
	free(chain);
	free(all);
	return leaf;
}

void
stapled_answer(struct stapled *stapled, const char *file,
    const struct pki *leaf, enum ocsp_status status)
{
	int64_t now_s = clock_wall_ms() / 1000;
	const struct ocsp_wish wish = {
		.leaf = leaf,
		.issuer = &stapled->ca,
		.status = status,
		.this_update = now_s - 60,
		.next_update = now_s + 3600,
		.revoked_at = now_s - 60,
	};
	struct ocsp_made made = ocsp_make(&wish);
	char path[128];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", stapled->site.folder.path, file);
	out = fopen(path, "wb");
	need(out && fwrite(made.der, 1, made.len, out) == made.len &&
		 fclose(out) == 0,
	    "a response cannot be written");
	ocsp_drop(&made);
}

struct generation *
stapled_build(struct stapled *stapled, struct generation *old, const char *cert,
    const char *more)
{
	struct generation *generation;
	char text[512];

	snprintf(text, sizeof(text),
	    "[listener a]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:1\n"
	    "cert = %s\n%s",
	    cert, more);
	generation = site_build(&stapled->site, old, text, false);
	need(generation != NULL, text);
	return generation;
}

struct policy_eval
stapled_eval(const struct stapled *stapled, enum policy_phase phase)
{
	return (struct policy_eval){
		.stapling = stapled->site.parts.stapling,
		.phase = phase,
		.now_s = clock_wall_ms() / 1000,
	};
}

struct policy_counts
stapled_settle(struct stapled *stapled, const struct generation *generation)
{
	const struct policy_eval eval = stapled_eval(stapled, PHASE_START);
	struct policy_counts sum = policy_eval_all(&eval, generation);
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	while (sum.counts[POLICY_WAIT] > 0) {
		need(sem_timedwait(&stapled->changed, &until) == 0,
		    "no certificate was settled");
		sum = policy_eval_all(&eval, generation);
	}
	return sum;
}
