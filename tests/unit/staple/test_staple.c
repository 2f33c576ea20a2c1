/*
 * The public functions, as an application uses them, and the settings that the
 * library keeps.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "staple/settings.h"
#include "staple/staple.h"
#include "tests/support/authority.h"
#include "tests/support/shake.h"

enum { HOUR = 3600, PATIENCE_MS = 30000, WHY = 256 };

static const struct staple_policy always = { .mode = STAPLE_ALWAYS };

static struct authority authority;
static struct pki leaf; /* must-staple; names no responder */
static struct pki_folder folder;
static char pushed[128]; /* the staple_file, which is there */
static struct staple *staple;

static void
push(const char *path)
{
	const int64_t now = time(NULL);
	const struct ocsp_wish wish = { .this_update = now - HOUR,
		.next_update = now + HOUR };
	struct ocsp_made made = authority_answer(&authority, &leaf, &wish);
	FILE *file = fopen(path, "wb");

	cr_assert_not_null(file);
	cr_assert_eq(fwrite(made.der, made.len, 1, file), 1);
	cr_assert_eq(fclose(file), 0);
	ocsp_drop(&made);
}

static void
set_up(void)
{
	authority_make(&authority);
	leaf = authority_issue(
	    &authority, &(struct pki_wish){
			    .name = "a.example", .feature = "status_request" });
	pki_folder_make(&folder);
	snprintf(pushed, sizeof(pushed), "%s/pushed", folder.path);
	push(pushed);
	staple = staple_new(NULL, NULL, 0);
	cr_assert_not_null(staple);
}

static void
tear_down(void)
{
	staple_free(staple);
	pki_folder_remove(&folder);
	pki_drop(&leaf);
	authority_drop(&authority);
}

TestSuite(staple, .init = set_up, .fini = tear_down, .timeout = 60);

static void
watch(X509 *certificate, const struct staple_source *source)
{
	char why[WHY] = "";

	cr_assert(staple_watch(staple, certificate, authority.chain, source,
		      NULL, why, sizeof(why)),
	    "%s", why);
}

static void
watch_pushed(void)
{
	watch(
	    leaf.certificate, &(struct staple_source){ .staple_file = pushed });
}

static void
start(void)
{
	char why[WHY] = "";

	cr_assert(staple_start(staple, why, sizeof(why)), "%s", why);
}

static void
count(void *arg, const struct staple_info *info)
{
	(void)info;
	++*(unsigned *)arg;
}

static unsigned
count_all(void)
{
	unsigned all = 0;

	staple_inspect(staple, count, &all);
	return all;
}

/* ---- Life ---- */

Test(staple, need_not_exist_to_be_freed)
{
	staple_free(NULL);
}

Test(staple, explains_why_it_cannot_be_made)
{
	const struct staple_options options = { .ca_file = "/none/ca.pem" };
	char why[WHY] = "", brief[8] = "";

	cr_expect_null(staple_new(&options, why, sizeof(why)));
	cr_expect_not_null(strstr(why, "/none/ca.pem"), "%s", why);
	cr_expect_null(staple_new(&options, brief, sizeof(brief)));
	cr_expect_eq(strlen(brief), sizeof(brief) - 1);
	cr_expect_null(staple_new(&options, NULL, 0));
}

Test(staple, starts_once)
{
	char why[WHY] = "";

	start();
	cr_expect_not(staple_start(staple, why, sizeof(why)));
	cr_expect_not_null(strstr(why, "already"), "%s", why);
}

Test(staple, staples_what_was_pushed_from_the_first_handshake)
{
	SSL_CTX *context = authority_context(&authority, &leaf);
	SSL_CTX *client = shake_client();
	const struct shake_wish wish = { .ask = true };
	struct shaken shaken;

	watch_pushed();
	cr_assert(staple_attach(staple, context, NULL, NULL, 0));
	start();
	cr_assert(staple_wait(staple, PATIENCE_MS));
	shaken = shake(context, client, &wish);
	cr_expect(shaken.done);
	cr_expect_not_null(shaken.staple);
	shaken_drop(&shaken);
	staple_free(staple);
	staple = NULL;
	shaken = shake(context, client, &wish);
	cr_expect(shaken.done);
	cr_expect_null(shaken.staple, "nothing is stapled by the dead");
	shaken_drop(&shaken);
	SSL_CTX_free(client);
	SSL_CTX_free(context);
}

Test(staple, explains_why_a_context_cannot_be_attached)
{
	SSL_CTX *context = authority_context(&authority, &leaf);
	struct staple *other = staple_new(NULL, NULL, 0);
	char why[WHY] = "";

	cr_assert(staple_attach(other, context, &always, NULL, 0));
	cr_expect_not(
	    staple_attach(staple, context, &always, why, sizeof(why)));
	cr_expect_not_null(strstr(why, "another"), "%s", why);
	staple_free(other);
	cr_expect(staple_attach(staple, context, &always, why, sizeof(why)));
	SSL_CTX_free(context);
}

/* ---- Looking ---- */

Test(staple, finds_a_certificate_and_its_equal)
{
	X509 *equal = X509_dup(leaf.certificate);
	struct staple_info info;

	cr_expect_not(staple_state(staple, leaf.certificate, &info));
	watch_pushed();
	cr_expect(staple_state(staple, leaf.certificate, &info));
	cr_expect_str_eq(info.name, "a.example");
	cr_expect(staple_state(staple, equal, &info));
	cr_expect_str_eq(info.name, "a.example");
	cr_expect_not(staple_state(staple, authority.pki.certificate, &info));
	X509_free(equal);
}

Test(staple, finds_by_its_bytes_what_another_watches)
{
	struct staple *other = staple_new(NULL, NULL, 0);
	X509 *equal = X509_dup(leaf.certificate);
	struct staple_info info;

	cr_assert(staple_watch(
	    other, leaf.certificate, NULL, NULL, &always, NULL, 0));
	cr_expect_not(staple_state(staple, leaf.certificate, &info));
	watch(equal, NULL);
	cr_expect(staple_state(staple, leaf.certificate, &info));
	cr_expect_eq(info.unavailable_reason, STAPLE_NO_RESPONDER);
	X509_free(equal);
	staple_free(other);
}

Test(staple, shows_every_certificate_once)
{
	X509 *equal = X509_dup(leaf.certificate);

	cr_expect_eq(count_all(), 0);
	watch(leaf.certificate, NULL);
	watch(equal, NULL);
	cr_expect_eq(count_all(), 1);
	watch(authority.pki.certificate, NULL);
	cr_expect_eq(count_all(), 2);
	X509_free(equal);
	cr_expect_eq(count_all(), 2);
}

Test(staple, waits_for_nothing_that_is_not_wanted)
{
	cr_expect(staple_wait(staple, 0));
	watch_pushed();
	cr_expect_not(staple_wait(staple, 0), "nothing has started");
	staple_refresh(staple);
	start();
	cr_expect(staple_wait(staple, PATIENCE_MS));
}

Test(staple, does_not_wait_without_a_responder)
{
	struct staple_info info;

	watch(leaf.certificate, NULL);
	start();
	cr_expect(staple_wait(staple, PATIENCE_MS));
	cr_expect(staple_state(staple, leaf.certificate, &info));
	cr_expect(info.settled);
	cr_expect_not(info.held);
	cr_expect_eq(info.unavailable_reason, STAPLE_NO_RESPONDER);
}

/* ---- Configuring ---- */

static void
on_change(void *arg, const struct staple_info *info)
{
	if (info->held)
		atomic_store((atomic_bool *)arg, true);
}

Test(staple, keeps_its_callbacks_when_it_is_configured)
{
	atomic_bool held = false;
	const struct staple_options before = { .on_change = on_change,
		.arg = &held };
	const struct staple_options after = { .max_fetches = 1 };

	staple_free(staple);
	staple = staple_new(&before, NULL, 0);
	cr_assert(staple_configure(staple, &after, NULL, 0));
	watch_pushed();
	start();
	cr_expect(staple_wait(staple, PATIENCE_MS));
	staple_free(staple);
	staple = NULL;
	cr_expect(atomic_load(&held));
}

Test(staple, refuses_options_that_cannot_be_and_keeps_the_old)
{
	const struct staple_options options = { .ca_file = "/none/ca.pem" };
	char why[WHY] = "";

	watch_pushed();
	cr_expect_not(staple_configure(staple, &options, why, sizeof(why)));
	cr_expect_not_null(strstr(why, "/none/ca.pem"), "%s", why);
	start();
	cr_expect(staple_wait(staple, PATIENCE_MS));
}

static enum staple_outcome
unavailable_reason(void)
{
	struct staple_info info;

	cr_assert(staple_state(staple, leaf.certificate, &info));
	return info.unavailable_reason;
}

/* Without a chain: its issuer is in the stores. */
static void
watch_alone(void)
{
	cr_assert(staple_watch(staple, leaf.certificate, NULL,
	    &(struct staple_source){ .staple_file = pushed }, NULL, NULL, 0));
}

Test(staple, looks_for_issuers_in_the_file_that_is_configured)
{
	char *pem = pki_certificate_pem(&authority.pki);
	char *path = pki_write(&folder, "ca.pem", pem);
	const struct staple_options options = { .ca_file = path };

	watch_alone();
	cr_expect_eq(unavailable_reason(), STAPLE_NO_ISSUER);
	cr_assert(staple_configure(staple, &options, NULL, 0));
	cr_expect_eq(
	    unavailable_reason(), STAPLE_NO_ISSUER, "what is known stays");
	watch_alone();
	cr_expect_eq(unavailable_reason(), STAPLE_UNASKED);
	free(path);
	free(pem);
}

/* ---- Fork ---- */

enum { CHILDREN = 4, CHILD_MS = 20000, QUICK_MS = 5000 };

/* The allocator of AddressSanitizer (gcc 12) is not fork-safe: a child waits for
 * ever for a lock that another thread of the parent held at the fork.  So only
 * the parent's side is tested there. */
#ifdef __SANITIZE_ADDRESS__
enum { FORKS = 0 };
#else
enum { FORKS = 20 };
#endif

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool
frees_quickly(void)
{
	int64_t begun = now_ms();

	staple_free(staple);
	staple = NULL;
	return now_ms() - begun < QUICK_MS;
}

/* In a child: its exit status. */
typedef int in_child_fn(void);

static pid_t
fork_into(in_child_fn *run)
{
	pid_t child = fork();

	cr_assert_geq(child, 0);
	if (child == 0)
		_exit(run());
	return child;
}

/* Its exit status; -1: it had to be killed. */
static int
wait_for(pid_t child)
{
	int64_t until = now_ms() + CHILD_MS;
	int status;

	while (waitpid(child, &status, WNOHANG) == 0) {
		if (now_ms() > until) {
			kill(child, SIGKILL);
			waitpid(child, &status, 0);
			return -1;
		}
		poll(NULL, 0, 5);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
}

static int
start_and_free(void)
{
	struct staple_info info;

	if (!staple_start(staple, NULL, 0) || !staple_wait(staple, PATIENCE_MS))
		return 1;
	if (!staple_state(staple, leaf.certificate, &info) || !info.held)
		return 2;
	staple_refresh(staple);
	return frees_quickly() ? 0 : 3;
}

static int
only_free(void)
{
	staple_refresh(staple);
	return frees_quickly() ? 0 : 1;
}

Test(staple, starts_in_each_child_of_a_fork)
{
	pid_t children[CHILDREN];

	watch_pushed();
	for (int i = 0; i < CHILDREN; i++)
		children[i] = fork_into(i > 0 ? start_and_free : only_free);
	for (int i = 0; i < CHILDREN; i++)
		cr_expect_eq(wait_for(children[i]), 0, "child %d", i);
	start();
	cr_expect(staple_wait(staple, PATIENCE_MS));
	cr_expect(frees_quickly());
}

Test(staple, is_freed_at_once_if_only_children_start_it)
{
	pid_t child;

	watch_pushed();
	child = fork_into(start_and_free);
	cr_expect(frees_quickly());
	cr_expect_eq(wait_for(child), 0);
}

/* And attached contexts; then it may make a new one. */
static int
free_what_the_parent_started(void)
{
	if (!frees_quickly())
		return 1;
	pki_drop(&leaf);
	staple = staple_new(NULL, NULL, 0);
	leaf = authority_issue(&authority, &(struct pki_wish){ .name = "b" });
	push(pushed);
	if (staple == NULL ||
	    !staple_watch(staple, leaf.certificate, authority.chain,
		&(struct staple_source){ .staple_file = pushed }, &always, NULL,
		0) ||
	    !staple_start(staple, NULL, 0) || !staple_wait(staple, PATIENCE_MS))
		return 2;
	return frees_quickly() ? 0 : 3;
}

struct looker {
	pthread_t thread;
	atomic_bool ends;
};

static void *
look_all_the_time(void *arg)
{
	struct looker *looker = arg;

	struct staple_info info;

	while (!atomic_load(&looker->ends))
		(void)staple_state(staple, leaf.certificate, &info);
	return NULL;
}

/* So that fetches, the writer and the lock are in every state at the fork. */
static void
make_busy(struct looker *looker, int *responder)
{
	const struct staple_options options = { .store_dir = folder.path };
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	char url[64];
	const char *const urls[] = { url };

	*responder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(*responder, (struct sockaddr *)&at, len), 0);
	cr_assert_eq(listen(*responder, 64), 0);
	cr_assert_eq(getsockname(*responder, (struct sockaddr *)&at, &len), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(at.sin_port));
	staple_free(staple);
	staple = staple_new(&options, NULL, 0);
	cr_assert_not_null(staple);
	watch(leaf.certificate,
	    &(struct staple_source){ .urls = urls, .url_count = 1 });
	start();
	atomic_init(&looker->ends, false);
	cr_assert_eq(
	    pthread_create(&looker->thread, NULL, look_all_the_time, looker),
	    0);
}

static void
remove_store(const char *id)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/ocsp/%s", folder.path, id);
	(void)unlink(path);
	snprintf(path, sizeof(path), "%s/ocsp/.lock", folder.path);
	(void)unlink(path);
	snprintf(path, sizeof(path), "%s/ocsp", folder.path);
	(void)rmdir(path);
}

Test(staple, is_freed_in_a_child_whatever_the_parent_is_doing)
{
	struct staple_info info;
	struct looker looker;
	int responder, status = 0;

	make_busy(&looker, &responder);
	for (int i = 0; i < FORKS && status == 0; i++)
		status = wait_for(fork_into(free_what_the_parent_started));
	cr_expect_eq(status, 0);
	atomic_store(&looker.ends, true);
	pthread_join(looker.thread, NULL);
	push(pushed);
	watch_pushed();
	cr_expect(staple_wait(staple, PATIENCE_MS), "the parent goes on");
	cr_assert(staple_state(staple, leaf.certificate, &info));
	cr_expect(frees_quickly());
	close(responder);
	remove_store(info.id);
}

static const struct staple_options none;

Test(settings, have_a_default_for_every_number)
{
	const struct staple_options *rows[] = { &none, NULL };

	for (int i = 0; i < 2; i++) {
		struct staple_settings *made = staple_settings_new(rows[i]);

		cr_assert_not_null(made);
		cr_expect_eq(made->values.method, STAPLE_METHOD_AUTO);
		cr_expect_eq(made->values.timeout_ms, 10000);
		cr_expect_eq(made->values.min_interval_s, 300);
		cr_expect_eq(made->values.max_interval_s, 7 * 86400);
		cr_expect_eq(made->values.default_lifetime_s, 86400);
		cr_expect_eq(made->values.max_response, 65536);
		cr_expect_eq(made->values.max_fetches, 32);
		staple_settings_unref(made);
	}
}

Test(settings, keep_every_number_that_is_given)
{
	struct staple_options options = { .method = STAPLE_METHOD_GET,
		.no_aia_issuer = true,
		.timeout_ms = 1,
		.min_interval_s = 2,
		.max_interval_s = 3,
		.default_lifetime_s = 4,
		.max_response = 5,
		.max_fetches = 6 };
	struct staple_settings *made = staple_settings_new(&options);

	cr_assert_not_null(made);
	cr_expect_eq(made->values.method, STAPLE_METHOD_GET);
	cr_expect(made->values.no_aia_issuer);
	cr_expect_eq(made->values.timeout_ms, 1);
	cr_expect_eq(made->values.min_interval_s, 2);
	cr_expect_eq(made->values.max_interval_s, 3);
	cr_expect_eq(made->values.default_lifetime_s, 4);
	cr_expect_eq(made->values.max_response, 5);
	cr_expect_eq(made->values.max_fetches, 6);
	staple_settings_unref(made);
}

Test(settings, own_their_strings)
{
	char store[] = "/store", ca[] = "/ca.pem", proxy[] = "http://p:1";
	struct staple_options options = {
		.store_dir = store, .ca_file = ca, .proxy = proxy
	};
	struct staple_settings *made = staple_settings_new(&options);

	cr_assert_not_null(made);
	store[1] = ca[1] = proxy[1] = 'X';
	cr_expect_str_eq(made->values.store_dir, "/store");
	cr_expect_str_eq(made->values.ca_file, "/ca.pem");
	cr_expect_str_eq(made->values.proxy, "http://p:1");
	staple_settings_unref(made);
}

Test(settings, distinguish_no_proxy_from_the_environment)
{
	struct staple_options options = { .proxy = "" };
	struct staple_settings *silent = staple_settings_new(&none);
	struct staple_settings *direct = staple_settings_new(&options);

	cr_assert_not_null(silent);
	cr_assert_not_null(direct);
	cr_expect_null(silent->values.proxy);
	cr_expect_str_eq(direct->values.proxy, "");
	staple_settings_unref(silent);
	staple_settings_unref(direct);
}

static void
say(void *arg, const struct staple_event *event)
{
	(void)arg;
	(void)event;
}

Test(settings, keep_the_callbacks)
{
	int arg;
	struct staple_options options = { .log = say, .arg = &arg };
	struct staple_settings *made = staple_settings_new(&options);

	cr_assert_not_null(made);
	cr_expect_eq(made->values.log, say);
	cr_expect_null(made->values.on_change);
	cr_expect_eq(made->values.arg, &arg);
	staple_settings_unref(made);
}

Test(settings, live_as_long_as_their_references)
{
	struct staple_settings *made = staple_settings_new(NULL);

	cr_assert_not_null(made);
	cr_expect_eq(staple_settings_ref(made), made);
	staple_settings_unref(made);
	cr_expect_eq(made->values.max_fetches, 32);
	staple_settings_unref(made);
	staple_settings_unref(NULL);
}
