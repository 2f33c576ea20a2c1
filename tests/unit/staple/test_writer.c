/*
 * The thread behind the store: rule 5, and what a bad disk does to it.  This
 * program is linked with the write of the store wrapped, so that it can hang,
 * fail and be watched.
 */
#include "staple/writer.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "staple/cache.h"
#include "staple/response.h"
#include "tests/support/authority.h"
#include "tests/support/pki.h"
#include "tests/support/scratch.h"

#define REST "123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define A "a" REST
#define B "b" REST
#define C "c" REST

enum { RESPONSES = 3, CERTS = 3, LOG_MAX = 256, DAY = 24 * 3600 };

/* ---- the disk ---- */

static struct {
	atomic_bool hangs; /* the next write does, once */
	sem_t hanging, goes_on;
	atomic_bool is_bad; /* writes fail */
	_Atomic(const char *) bad_id;
	atomic_int looks;    /* at the clock */
	atomic_int ahead_ms; /* of the clock */
	atomic_int writes, closed;
	/* "a0 b1": id and response; the thread's until it ends or rests */
	char log[LOG_MAX];
} disk;

static struct staple_response *responses[RESPONSES];

bool __real_staple_store_write(struct staple_store *store, const char *id,
    const unsigned char *data, size_t len, struct err *err);
bool __wrap_staple_store_write(struct staple_store *store, const char *id,
    const unsigned char *data, size_t len, struct err *err);
void __real_staple_store_close(struct staple_store *store);
void __wrap_staple_store_close(struct staple_store *store);
int64_t __real_clock_mono_ms(void);
int64_t __wrap_clock_mono_ms(void);

static void
note(const char *id, const unsigned char *data, size_t len)
{
	const unsigned char *der;
	size_t n = 0, at = strlen(disk.log), other;

	for (; n < RESPONSES; n++) {
		der = staple_response_der(responses[n], &other);
		if (other == len && memcmp(der, data, len) == 0)
			break;
	}
	snprintf(
	    disk.log + at, LOG_MAX - at, "%s%c%zu", at > 0 ? " " : "", *id, n);
}

bool
__wrap_staple_store_write(struct staple_store *store, const char *id,
    const unsigned char *data, size_t len, struct err *err)
{
	const char *bad = atomic_load(&disk.bad_id);
	bool ok = !atomic_load(&disk.is_bad) &&
		  (bad == NULL || strcmp(bad, id) != 0);

	note(id, data, len);
	if (atomic_exchange(&disk.hangs, false)) {
		sem_post(&disk.hanging);
		sem_wait(&disk.goes_on);
	}
	if (ok)
		ok = __real_staple_store_write(store, id, data, len, err);
	else
		err_set(err, "the disk is full");
	atomic_fetch_add(&disk.writes, 1);
	return ok;
}

void
__wrap_staple_store_close(struct staple_store *store)
{
	__real_staple_store_close(store);
	atomic_fetch_add(&disk.closed, 1);
}

int64_t
__wrap_clock_mono_ms(void)
{
	atomic_fetch_add(&disk.looks, 1);
	return __real_clock_mono_ms() + atomic_load(&disk.ahead_ms);
}

/* ---- callbacks ---- */

static struct {
	atomic_int count;
	char last[LOG_MAX]; /* "a the disk is full", "b works" */
	atomic_bool hangs;
} told;

static void
on_told(void *arg, const char *id, const char *failure)
{
	if (arg != &told)
		abort();
	snprintf(told.last, sizeof(told.last), "%c %s", *id,
	    failure == NULL ? "works" : failure);
	if (atomic_load(&told.hangs)) {
		sem_post(&disk.hanging);
		sem_wait(&disk.goes_on);
	}
	atomic_fetch_add(&told.count, 1);
}

/* ---- the rig ---- */

static struct scratch scratch;
static struct authority authority;
static struct pki leaf;
static struct staple_cache *cache;
static struct staple_cert *certs[CERTS]; /* of one leaf, called A, B, C */
static struct staple_writer *writer;
static struct staple_store *issuer_store; /* NULL: the writer has none */

static void
start(void)
{
	struct err err;

	writer = staple_writer_start(
	    scratch.store, issuer_store, cache, on_told, &told, &err);
	cr_assert_not_null(writer, "%s", err.text);
}

static struct staple_cert *
cert_of(const char *id)
{
	return certs[id[0] - 'a'];
}

static void
set_up(void)
{
	static const char *const ids[CERTS] = { A, B, C };

	memset(&disk, 0, sizeof(disk));
	memset(&told, 0, sizeof(told));
	sem_init(&disk.hanging, 0, 0);
	sem_init(&disk.goes_on, 0, 0);
	authority_make(&authority);
	leaf = authority_issue(&authority, &(struct pki_wish){ .name = "a" });
	for (int i = 0; i < RESPONSES; i++)
		responses[i] = authority_response(&authority, &leaf,
		    &(struct ocsp_wish){ .this_update = 1767268800 + i });
	for (int i = 0; i < CERTS; i++) {
		certs[i] = authority_facts(&authority, &leaf, NULL);
		snprintf(certs[i]->id, sizeof(certs[i]->id), "%s", ids[i]);
	}
	cache = staple_cache_new();
	cr_assert_not_null(cache);
	scratch_open(&scratch);
	start();
}

static void
stop(void)
{
	staple_writer_stop(writer);
	writer = NULL;
}

static void
tear_down(void)
{
	stop();
	scratch_close(&scratch);
	staple_cache_unref(cache);
	for (int i = 0; i < CERTS; i++)
		staple_cert_unref(certs[i]);
	for (int i = 0; i < RESPONSES; i++)
		staple_response_unref(responses[i]);
	pki_drop(&leaf);
	authority_drop(&authority);
}

TestSuite(writer, .init = set_up, .fini = tear_down, .timeout = 30);

static void
save(const char *id, int response)
{
	staple_writer_save(writer, cert_of(id), responses[response], NULL);
}

static void
until(const atomic_int *count, int wanted)
{
	for (int i = 0; i < 2000 && atomic_load(count) < wanted; i++)
		poll(NULL, 0, 5);
	cr_assert_geq(atomic_load(count), wanted);
}

/* What fails is tried again after a tenth of a second. */
static void
make_minutes_short(void)
{
	atomic_store(&disk.ahead_ms, 100 - 60 * 1000);
}

static void
expect_saved(const char *id, int response)
{
	const unsigned char *der;
	struct staple_bytes bytes;
	struct err err;
	size_t len;

	cr_assert(staple_store_read(scratch.store, id, 4096, &bytes, &err));
	cr_assert_not_null(bytes.data, "%s", id);
	der = staple_response_der(responses[response], &len);
	cr_expect_eq(bytes.len, len);
	cr_expect_arr_eq(bytes.data, der, len);
	free(bytes.data);
}

/* ---- writing ---- */

Test(writer, writes_what_is_queued_before_it_stops)
{
	save(A, 0);
	save(B, 1);
	stop();
	expect_saved(A, 0);
	expect_saved(B, 1);
	cr_expect_eq(atomic_load(&told.count), 0);
}

Test(writer, delays_nothing_and_keeps_the_newest_of_each)
{
	atomic_store(&disk.hangs, true);
	save(A, 0);
	sem_wait(&disk.hanging);
	save(A, 1);
	save(B, 1);
	save(A, 2);
	sem_post(&disk.goes_on);
	stop();
	cr_expect_str_eq(disk.log, "a0 a2 b1");
	expect_saved(A, 2);
}

Test(writer, stops_when_there_was_nothing_to_do)
{
	stop();
	cr_expect_str_eq(disk.log, "");
	staple_writer_stop(NULL);
}

/* ---- a folder that is shared ---- */

static void
write_as_another(int response)
{
	const unsigned char *der;
	struct err err;
	size_t len;

	der = staple_response_der(responses[response], &len);
	cr_assert(__real_staple_store_write(scratch.store, A, der, len, &err));
}

Test(writer, leaves_a_newer_response_of_another_process_alone)
{
	write_as_another(1);
	save(A, 0);
	stop();
	expect_saved(A, 1);
	cr_expect_str_eq(disk.log, "");
	cr_expect_eq(atomic_load(&told.count), 0);
}

Test(writer, does_not_write_the_same_again)
{
	write_as_another(1);
	save(A, 1);
	stop();
	expect_saved(A, 1);
	cr_expect_str_eq(disk.log, "");
}

Test(writer, replaces_an_older_response_and_what_is_none)
{
	struct err err;

	write_as_another(0);
	save(A, 1);
	cr_assert(__real_staple_store_write(
	    scratch.store, B, (const void *)"garbage", 7, &err));
	save(B, 0);
	stop();
	expect_saved(A, 1);
	expect_saved(B, 0);
}

static struct staple_claim *
claim(const char *id)
{
	struct staple_claim *claim;

	cr_assert(staple_store_claim(scratch.store, id, &claim));
	cr_assert_not_null(claim);
	return claim;
}

static bool
is_claimed(const char *id)
{
	struct staple_claim *claim;
	bool free = staple_store_claim(scratch.store, id, &claim);

	staple_claim_release(claim);
	return !free;
}

Test(writer, gives_a_claim_back_when_the_response_is_in_the_store)
{
	atomic_store(&disk.hangs, true);
	staple_writer_save(writer, certs[0], responses[0], claim(A));
	sem_wait(&disk.hanging);
	cr_expect(is_claimed(A));
	staple_writer_save(writer, certs[1], responses[0], claim(B));
	save(B, 1);
	cr_expect_not(is_claimed(B), "the later save takes its place");
	sem_post(&disk.goes_on);
	stop();
	cr_expect_not(is_claimed(A));
}

Test(writer, gives_a_claim_back_when_the_disk_fails)
{
	atomic_store(&disk.is_bad, true);
	staple_writer_save(writer, certs[0], responses[0], claim(A));
	until(&told.count, 1);
	cr_expect_not(is_claimed(A));
}

static char *
put_old(const char *id)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
		{ .tv_sec = time(NULL) - 31 * DAY } };
	struct err err;
	char *path;

	cr_assert(__real_staple_store_write(
	    scratch.store, id, (const void *)"old", 3, &err));
	cr_assert(asprintf(&path, "%s/store/ocsp/%s", scratch.path, id) > 0);
	cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
	return path;
}

static bool
has_gone(const char *path)
{
	for (int i = 0; i < 2000 && access(path, F_OK) == 0; i++)
		poll(NULL, 0, 5);
	return access(path, F_OK) != 0;
}

static time_t
time_of(const char *path)
{
	struct stat status;

	cr_assert_eq(stat(path, &status), 0, "%s", path);
	return status.st_mtim.tv_sec;
}

/* A watched response without a policy that requires it, and without
 * libstaple. */
Test(writer, sweeps_at_its_start_and_spares_what_is_watched)
{
	struct staple_cert *watched = authority_facts(&authority, &leaf, NULL);
	struct staple_entry *entry = staple_cache_hold(
	    cache, watched, STAPLE_REQUIRE_NONE);
	char *known = put_old(watched->id), *unknown = put_old(C);

	stop();
	start();
	cr_expect(has_gone(unknown));
	for (int i = 0; i < 2000 && time_of(known) < time(NULL) - DAY; i++)
		poll(NULL, 0, 5);
	cr_expect_geq(time_of(known), time(NULL) - DAY);
	staple_cache_release(entry, STAPLE_REQUIRE_NONE);
	staple_cert_unref(watched);
	free(known);
	free(unknown);
}

Test(writer, sweeps_issuers_that_were_not_read_for_a_year)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	char *old = NULL, *used = NULL;
	struct err err;
	bool gone = false;

	stop();
	issuer_store = staple_store_open_issuers(scratch.path, &err);
	cr_assert_not_null(issuer_store);
	cr_assert(staple_store_make_folder(issuer_store, &err), "%s", err.text);
	cr_assert(__real_staple_store_write(
	    issuer_store, A, (const unsigned char *)"a", 1, &err));
	cr_assert(__real_staple_store_write(
	    issuer_store, B, (const unsigned char *)"b", 1, &err));
	cr_assert_geq(asprintf(&old, "%s/issuer/%s", scratch.path, A), 0);
	cr_assert_geq(asprintf(&used, "%s/issuer/%s", scratch.path, B), 0);
	times[1].tv_sec = time(NULL) - 366 * DAY;
	cr_assert_eq(utimensat(AT_FDCWD, old, times, 0), 0);
	times[1].tv_sec = time(NULL) - 364 * DAY;
	cr_assert_eq(utimensat(AT_FDCWD, used, times, 0), 0);
	start();
	gone = has_gone(old);
	cr_expect(gone);
	cr_expect_eq(access(used, F_OK), 0);
	staple_store_mark(issuer_store, B, time(NULL));
	cr_expect_geq(time_of(used), time(NULL) - DAY);
	stop();
	__real_staple_store_close(issuer_store);
	issuer_store = NULL;
	start();
	free(old);
	free(used);
}

/* The clock is a day behind when the next sweep is planned. */
Test(writer, sweeps_daily)
{
	char *first, *second;

	stop();
	first = put_old(B);
	atomic_store(&disk.ahead_ms, 100 - DAY * 1000);
	start();
	cr_expect(has_gone(first));
	second = put_old(C);
	cr_expect(has_gone(second));
	free(first);
	free(second);
}

/* ---- a disk that fails ---- */

Test(writer, reports_a_failure_once_and_its_end)
{
	make_minutes_short();
	atomic_store(&disk.is_bad, true);
	save(A, 0);
	save(B, 0);
	until(&disk.writes, 6);
	cr_expect_eq(atomic_load(&told.count), 1);
	atomic_store(&disk.is_bad, false);
	until(&told.count, 2);
	cr_expect_str_eq(told.last + 1, " works");
	expect_saved(A, 0);
	expect_saved(B, 0);
}

Test(writer, names_the_certificate_and_the_cause)
{
	atomic_store(&disk.is_bad, true);
	save(B, 0);
	until(&told.count, 1);
	cr_expect_str_eq(told.last, "b the disk is full");
}

/* That the third was written shows that nothing is left to do for the
 * second.  At the end each is tried once more. */
Test(writer, does_not_try_again_in_a_hurry)
{
	atomic_store(&disk.is_bad, true);
	save(A, 0);
	save(B, 0);
	save(C, 0);
	until(&disk.writes, 3);
	cr_expect_str_eq(disk.log, "a0 b0 c0");
	stop();
	cr_expect_eq(strncmp(disk.log, "a0 b0 c0 a0 b0", 14), 0);
	cr_expect_eq(atomic_load(&told.count), 1);
}

Test(writer, lets_one_bad_file_delay_no_other)
{
	atomic_store(&disk.bad_id, A);
	save(A, 0);
	until(&told.count, 1);
	save(B, 0);
	save(A, 1);
	until(&disk.writes, 2);
	expect_saved(B, 0);
	cr_expect_eq(atomic_load(&told.count), 1, "it does not work again");
	atomic_store(&disk.bad_id, NULL);
	stop();
	expect_saved(A, 1);
}

Test(writer, prefers_what_came_while_a_write_failed)
{
	atomic_store(&disk.is_bad, true);
	atomic_store(&disk.hangs, true);
	save(A, 0);
	sem_wait(&disk.hanging);
	save(A, 1);
	atomic_store(&disk.is_bad, false);
	sem_post(&disk.goes_on);
	until(&disk.writes, 2);
	stop();
	cr_expect_str_eq(disk.log, "a0 a1");
	cr_expect_eq(atomic_load(&told.count), 2);
	cr_expect_str_eq(told.last, "a works");
	expect_saved(A, 1);
}

/* Bytes that are no response: issuers. */
Test(writer, saves_bytes_in_a_store_of_their_own)
{
	struct staple_store *issuers;
	struct staple_bytes bytes;
	struct err err;

	issuers = staple_store_open_issuers(scratch.path, &err);
	cr_assert_not_null(issuers);
	atomic_store(&disk.hangs, true);
	save(A, 0);
	sem_wait(&disk.hanging);
	staple_writer_save_bytes(
	    writer, B, issuers, (const unsigned char *)"old", 3);
	staple_writer_save_bytes(
	    writer, B, issuers, (const unsigned char *)"new", 3);
	sem_post(&disk.goes_on);
	until(&disk.writes, 2);
	stop();
	cr_assert(staple_store_read(issuers, B, 64, &bytes, &err));
	cr_assert_eq(bytes.len, 3);
	cr_expect_arr_eq(bytes.data, "new", 3);
	free(bytes.data);
	__real_staple_store_close(issuers);
}

/* ---- a disk that hangs ---- */

Test(writer, is_left_behind_when_the_disk_hangs_and_frees_itself)
{
	int64_t before;

	atomic_store(&disk.hangs, true);
	save(A, 0);
	sem_wait(&disk.hanging);
	save(B, 0);
	before = clock_mono_ms();
	stop();
	cr_expect_lt(clock_mono_ms() - before, 4000);
	cr_expect_eq(atomic_load(&disk.closed), 0, "the thread still uses it");
	sem_post(&disk.goes_on);
	until(&disk.closed, 1);
	cr_expect_str_eq(disk.log, "a0", "what was queued is lost");
}

Test(writer, has_no_callback_after_it_was_stopped)
{
	atomic_store(&disk.hangs, true);
	atomic_store(&disk.is_bad, true);
	save(A, 0);
	sem_wait(&disk.hanging);
	stop();
	sem_post(&disk.goes_on);
	until(&disk.closed, 1);
	cr_expect_eq(atomic_load(&told.count), 0);
}

/* As soon as staple_writer_stop looks at the clock. */
static void *
let_go(void *arg)
{
	until(&disk.looks, *(const int *)arg + 1);
	sem_post(&disk.goes_on);
	return NULL;
}

/* The clock is behind, so that the two seconds are over at once. */
Test(writer, does_not_stop_in_the_middle_of_a_sentence)
{
	pthread_t helper;
	int looks;

	atomic_store(&disk.is_bad, true);
	atomic_store(&told.hangs, true);
	save(A, 0);
	sem_wait(&disk.hanging);
	atomic_store(&told.hangs, false);
	atomic_store(&disk.ahead_ms, -10 * 1000);
	looks = atomic_load(&disk.looks);
	cr_assert_eq(pthread_create(&helper, NULL, let_go, &looks), 0);
	stop();
	cr_expect_eq(atomic_load(&told.count), 1);
	pthread_join(helper, NULL);
	until(&disk.closed, 1);
}
