/*
 * Processes that share one store_dir.  Each of some processes watches the same
 * certificates; all start at the same moment, when the response of each is due.
 * Every file must be whole at any time, and the responder gets about one
 * request for each certificate.  SHARED_RUNS=20 in the environment repeats it
 * as often (default: 4).
 */
#include "staple/staple.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "tests/support/authority.h"
#include "tests/support/responder.h"
#include "tests/support/scratch.h"

enum {
	PROCESSES = 8,
	CERTIFICATES = 200,
	RUNS = 4,
	/* In percent of one for each certificate. */
	REQUESTS_MAX = 120,
	HOUR = 3600,
	PATIENCE_MS = 60 * 1000,
	ANSWER_MAX = 4096
};

#define HEAD                                          \
	"HTTP/1.1 200 OK\r\n"                         \
	"Content-Type: application/ocsp-response\r\n" \
	"Connection: close\r\n\r\n"

static const struct staple_policy always = { .mode = STAPLE_ALWAYS };

struct site {
	struct pki leaf;
	char path[16], file[256];
	struct ocsp_made stale, fresh; /* one is due, the other is not */
	char answer[ANSWER_MAX];       /* of the responder: the fresh one */
	bool was_seen;                 /* its file, in this run */
};

static struct {
	struct scratch scratch;
	struct authority authority;
	struct responder *responder;
	struct site sites[CERTIFICATES];
	struct responder_act acts[CERTIFICATES];
	int64_t now_s;
	atomic_uint complaints; /* of one child */
} rig;

static struct ocsp_made
answer(const struct site *site, int64_t from, int64_t to)
{
	const struct ocsp_wish wish = { .this_update = rig.now_s + from,
		.next_update = rig.now_s + to };

	return authority_answer(&rig.authority, &site->leaf, &wish);
}

static void
make_site(struct site *site, unsigned number)
{
	struct responder_act *act = &rig.acts[number];
	size_t head = strlen(HEAD);
	struct staple_cert *cert;
	char aia[128], *url;

	snprintf(site->path, sizeof(site->path), "/%u/", number);
	url = responder_url(rig.responder, site->path);
	snprintf(aia, sizeof(aia), "OCSP;URI:%s", url);
	free(url);
	site->leaf = authority_issue(&rig.authority,
	    &(struct pki_wish){ .name = "site.example", .aia = aia });
	cert = authority_facts(&rig.authority, &site->leaf, NULL);
	snprintf(site->file, sizeof(site->file), "%s/store/ocsp/%s",
	    rig.scratch.path, cert->id);
	staple_cert_unref(cert);
	site->stale = answer(site, -2 * HOUR, HOUR);
	site->fresh = answer(site, -60, 2 * HOUR);
	cr_assert_leq(head + site->fresh.len, ANSWER_MAX);
	memcpy(site->answer, HEAD, head);
	memcpy(site->answer + head, site->fresh.der, site->fresh.len);
	*act = (struct responder_act){ .path = site->path,
		.bytes = site->answer,
		.len = head + site->fresh.len };
}

static void
set_up(void)
{
	rig.now_s = time(NULL);
	scratch_open(&rig.scratch);
	authority_make(&rig.authority);
	rig.responder = responder_start(NULL);
	for (unsigned i = 0; i < CERTIFICATES; i++)
		make_site(&rig.sites[i], i);
	responder_play(rig.responder, rig.acts, CERTIFICATES);
}

static void
tear_down(void)
{
	responder_stop(rig.responder);
	for (unsigned i = 0; i < CERTIFICATES; i++) {
		pki_drop(&rig.sites[i].leaf);
		ocsp_drop(&rig.sites[i].stale);
		ocsp_drop(&rig.sites[i].fresh);
	}
	authority_drop(&rig.authority);
	scratch_close(&rig.scratch);
}

TestSuite(shared, .init = set_up, .fini = tear_down, .timeout = 300);

/* ---- A process ---- */

static void
on_log(void *arg, const struct staple_event *event)
{
	(void)arg;
	if (event->level > STAPLE_LEVEL_WARNING)
		return;
	fprintf(stderr, "%s\n", event->message);
	atomic_fetch_add(&rig.complaints, 1);
}

static struct staple *
watch_all(void)
{
	char folder[64];
	const struct staple_options options = { .store_dir = folder,
		.log = on_log };
	struct staple *staple;

	snprintf(folder, sizeof(folder), "%s/store", rig.scratch.path);
	staple = staple_new(&options, NULL, 0);
	cr_assert_not_null(staple);
	for (unsigned i = 0; i < CERTIFICATES; i++)
		cr_assert(staple_watch(staple, rig.sites[i].leaf.certificate,
		    rig.authority.chain, NULL, &always, NULL, 0));
	return staple;
}

static bool
has_fresh(struct staple *staple)
{
	struct staple_info info;

	for (unsigned i = 0; i < CERTIFICATES; i++) {
		if (!staple_state(
			staple, rig.sites[i].leaf.certificate, &info) ||
		    info.this_update != rig.now_s - 60)
			return false;
	}
	return true;
}

/* Once the other end of the pipe is closed.  Its exit status. */
static int
run_process(struct staple *staple, const int gate[2])
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	char byte;

	close(gate[1]);
	if (read(gate[0], &byte, 1) != 0)
		return 4;
	if (!staple_start(staple, NULL, 0))
		return 1;
	while (!has_fresh(staple)) {
		if (clock_mono_ms() > until)
			return 2;
		poll(NULL, 0, 20);
	}
	staple_free(staple);
	return atomic_load(&rig.complaints) == 0 ? 0 : 3;
}

/* ---- The folder ---- */

static void
put(const char *path, const struct ocsp_made *made)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	cr_assert_eq(fwrite(made->der, made->len, 1, file), 1);
	cr_assert_eq(fclose(file), 0);
}

static bool
is_same(const char *data, size_t len, const struct ocsp_made *made)
{
	return len == made->len && memcmp(data, made->der, len) == 0;
}

/* Whole, and there if it was there before. */
static bool
look_at(struct site *site, bool must_be_fresh)
{
	char data[ANSWER_MAX];
	FILE *file = fopen(site->file, "r");
	size_t len;

	if (file == NULL)
		return !site->was_seen && !must_be_fresh;
	site->was_seen = true;
	len = fread(data, 1, sizeof(data), file);
	fclose(file);
	return is_same(data, len, &site->fresh) ||
	       (!must_be_fresh && is_same(data, len, &site->stale));
}

static unsigned
count_temporary(void)
{
	const struct dirent *entry;
	unsigned count = 0;
	char path[64];
	DIR *folder;

	snprintf(path, sizeof(path), "%s/store/ocsp", rig.scratch.path);
	folder = opendir(path);
	cr_assert_not_null(folder);
	while ((entry = readdir(folder)) != NULL)
		count += strstr(entry->d_name, ".tmp") != NULL;
	closedir(folder);
	return count;
}

/* ---- All together ---- */

static void
look_until_over(pid_t child, unsigned *at)
{
	int status;

	while (waitpid(child, &status, WNOHANG) == 0) {
		cr_assert(look_at(&rig.sites[*at], false), "%s is torn or gone",
		    rig.sites[*at].file);
		*at = (*at + 1) % CERTIFICATES;
		poll(NULL, 0, 1);
	}
	cr_expect(WIFEXITED(status));
	cr_expect_eq(WEXITSTATUS(status), 0);
}

/* All are forked before the first one begins: the responder's threads rest
 * meanwhile.  (A sanitizer's allocator may be left locked by a fork.) */
static void
fork_all(struct staple *staple, pid_t children[static PROCESSES])
{
	int gate[2];

	cr_assert_eq(pipe(gate), 0);
	for (unsigned i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		if (children[i] == 0)
			_exit(run_process(staple, gate));
	}
	close(gate[0]);
	close(gate[1]);
}

/* How many requests it took. */
static unsigned
run_all(bool is_first)
{
	unsigned before = responder_requests(rig.responder), at = 0;
	pid_t children[PROCESSES];
	struct staple *staple;

	for (unsigned i = 0; i < CERTIFICATES; i++) {
		if (!is_first)
			put(rig.sites[i].file, &rig.sites[i].stale);
		rig.sites[i].was_seen = !is_first;
	}
	staple = watch_all();
	fork_all(staple, children);
	staple_free(staple);
	for (unsigned i = 0; i < PROCESSES; i++)
		look_until_over(children[i], &at);
	for (unsigned i = 0; i < CERTIFICATES; i++)
		cr_expect(look_at(&rig.sites[i], true));
	cr_expect_eq(count_temporary(), 0);
	return responder_requests(rig.responder) - before;
}

Test(shared, processes_send_one_request_for_each_certificate)
{
	const char *wanted = getenv("SHARED_RUNS");
	int runs = wanted != NULL ? atoi(wanted) : RUNS;
	unsigned requests, most = 0, all = 0;
	int64_t begun = clock_mono_ms();

	for (int i = 0; i < runs; i++) {
		requests = run_all(i == 0);
		all += requests;
		most = requests > most ? requests : most;
	}
	fprintf(stderr,
	    "%u processes, %u certificates, %d runs: %u requests, "
	    "%u at most in a run, %lld ms\n",
	    PROCESSES, CERTIFICATES, runs, all, most,
	    (long long)(clock_mono_ms() - begun));
	cr_expect_leq(all * 100, (unsigned)runs * CERTIFICATES * REQUESTS_MAX);
}
