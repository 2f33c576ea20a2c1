/*
 * Responses on disk, and what else may be found there: rules 1 to 4.  The calls
 * that change a disk are wrapped, so that each step of a write can fail, or be
 * the last one of the process.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/err.h"
#include "staple/store.h"
#include "tests/support/scratch.h"

#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

enum { MAX = 4096 };

static struct scratch scratch;
static struct err err;

static const char *
in_top(const char *name, char out[static 256])
{
	snprintf(out, 256, "%s/%s", scratch.path, name);
	return out;
}

static const char *
file_path(void)
{
	static char path[256];

	return in_top("store/ocsp/" ID, path);
}

static void
folder_set_up(void)
{
	scratch_open(&scratch);
}

static void
folder_tear_down(void)
{
	scratch_close(&scratch);
}

static void
put(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file, "%s", path);
	cr_assert(fputs(text, file) >= 0 && fclose(file) == 0);
}

static bool
save(const char *text)
{
	return staple_store_write(
	    scratch.store, ID, (const unsigned char *)text, strlen(text), &err);
}

/* What is in the file, as text that lives until the next call; NULL: there is
 * none. */
static const char *
load(void)
{
	static char text[MAX + 1];
	struct staple_bytes bytes;
	bool found;

	cr_assert(staple_store_read(scratch.store, ID, MAX, &bytes, &err), "%s",
	    err.text);
	found = bytes.data != NULL;
	snprintf(text, sizeof(text), "%.*s", (int)bytes.len,
	    found ? (const char *)bytes.data : "");
	free(bytes.data);
	return found ? text : NULL;
}

static void
expect(const char *wanted, const char *what)
{
	const char *text = load();

	cr_expect_not_null(text, "%s: no file", what);
	if (text != NULL)
		cr_expect_str_eq(text, wanted, "%s", what);
}

static bool
exists(const char *name)
{
	struct stat status;
	char path[256];

	return lstat(in_top(name, path), &status) == 0;
}

/* How many temporary files there are. */
static unsigned
count_aside(void)
{
	char path[256];
	DIR *entries = opendir(in_top("store/ocsp", path));
	const struct dirent *entry;
	unsigned count = 0;

	cr_assert_not_null(entries);
	while ((entry = readdir(entries)) != NULL)
		count += strstr(entry->d_name, ".tmp") != NULL;
	closedir(entries);
	return count;
}

#define OTHER_ID \
	"ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"

TestSuite(
    store, .init = folder_set_up, .fini = folder_tear_down, .timeout = 20);

/* ---- there and back ---- */

Test(store, gives_back_what_it_was_given)
{
	static const unsigned char data[] = { 0x30, 0, 0xff, 0, '\n' };
	struct staple_bytes bytes;

	cr_assert(
	    staple_store_write(scratch.store, ID, data, sizeof(data), &err));
	cr_assert(staple_store_read(scratch.store, ID, MAX, &bytes, &err));
	cr_expect_arr_eq(bytes.data, data, sizeof(data));
	cr_expect_eq(bytes.len, sizeof(data));
	free(bytes.data);
}

Test(store, keeps_files_and_folders_to_itself)
{
	struct stat status;
	char path[256];

	cr_assert(save("x"));
	cr_assert_eq(stat(file_path(), &status), 0);
	cr_expect_eq(status.st_mode, S_IFREG | 0600);
	cr_assert_eq(stat(in_top("store", path), &status), 0);
	cr_expect_eq(status.st_mode, S_IFDIR | 0700);
	cr_assert_eq(stat(in_top("store/ocsp", path), &status), 0);
	cr_expect_eq(status.st_mode, S_IFDIR | 0700);
}

Test(store, makes_the_folder_of_issuers_with_the_first)
{
	static const unsigned char data[] = { 1, 2 };
	struct staple_store *issuers;
	struct staple_bytes bytes;
	struct stat status;
	char path[256];

	issuers = staple_store_open_issuers(in_top("store", path), &err);
	cr_assert_not_null(issuers);
	cr_expect_not(exists("store/issuer"));
	cr_assert(staple_store_read(issuers, ID, MAX, &bytes, &err));
	cr_expect_null(bytes.data);
	for (int i = 0; i < 2; i++)
		cr_assert(staple_store_write(issuers, ID, data, 2, &err), "%s",
		    err.text);
	cr_assert_eq(stat(in_top("store/issuer", path), &status), 0);
	cr_expect_eq(status.st_mode, S_IFDIR | 0700);
	cr_expect_null(load(), "it is no response");
	cr_assert(staple_store_read(issuers, ID, MAX, &bytes, &err));
	cr_expect_eq(bytes.len, 2);
	free(bytes.data);
	staple_store_close(issuers);
}

Test(store, outlives_the_object)
{
	char path[256];

	cr_assert(save("old"));
	cr_assert(save("longer than the old one"));
	cr_assert(save("new"));
	staple_store_close(scratch.store);
	scratch.store = staple_store_open(in_top("store", path), &err);
	cr_assert_not_null(scratch.store);
	expect("new", "opened again");
	cr_expect_eq(count_aside(), 0);
}

Test(store, has_nothing_of_a_certificate_that_is_new)
{
	cr_expect_null(load());
}

Test(store, distinguishes_an_empty_file_from_none)
{
	put(file_path(), "");
	expect("", "empty");
}

static const struct id_row {
	const char *what, *id;
} id_rows[] = {
	{ "nothing", "" },
	{ "a digit short", &ID[1] },
	{ "a digit more", ID "0" },
	{ "upper case",
	    "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF" },
	{ "out of the folder",
	    "../0112233445566778899aabbccddeeff00112233445566778899aabbccddef" },
	{ "not hexadecimal",
	    "g0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" },
};

Test(store, refuses_what_is_no_id)
{
	static const unsigned char data[] = { 1 };
	struct staple_bytes bytes;

	for (size_t i = 0; i < ARRAY_LEN(id_rows); i++) {
		const struct id_row *row = &id_rows[i];

		cr_expect_not(
		    staple_store_write(scratch.store, row->id, data, 1, &err),
		    "%s", row->what);
		cr_expect_not(staple_store_read(
				  scratch.store, row->id, MAX, &bytes, &err),
		    "%s", row->what);
		cr_expect_null(bytes.data, "%s", row->what);
	}
}

/* ---- foreign things in the place of the file ---- */

static void
put_link(const char *path)
{
	char target[256];

	put(in_top("target", target), "target");
	cr_assert_eq(symlink(target, path), 0);
}

static void
put_dangling(const char *path)
{
	cr_assert_eq(symlink("/nonexistent", path), 0);
}

static void
put_fifo(const char *path)
{
	cr_assert_eq(mkfifo(path, 0600), 0);
}

static void
put_folder(const char *path)
{
	cr_assert_eq(mkdir(path, 0700), 0);
}

static void
put_socket(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	cr_assert_lt(strlen(path), sizeof(name.sun_path) + 64);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/s", scratch.path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	cr_assert_eq(rename(name.sun_path, path), 0);
	close(fd);
}

static void
put_giant(const char *path)
{
	put(path, "");
	cr_assert_eq(truncate(path, MAX + 1), 0);
}

static void
put_largest(const char *path)
{
	put(path, "");
	cr_assert_eq(truncate(path, MAX), 0);
}

static void
put_torn(const char *path)
{
	put(path, "tor");
}

static const struct foreign_row {
	const char *what;
	void (*put)(const char *path);
	bool from_store, from_anywhere;
	const char *says;
	bool replaced; /* by a write */
} foreign_rows[] = {
	{ "a symlink", put_link, false, true, "in the place of the link",
	    true },
	{ "a FIFO", put_fifo, false, false, "no regular file", true },
	{ "a folder", put_folder, false, false, "no regular file", false },
	{ "a socket", put_socket, false, false, "cannot read", true },
	{ "a byte too much", put_giant, false, false, "more than 4096", true },
	{ "as much as may be", put_largest, true, true, NULL, true },
	/* The store does not interpret bytes. */
	{ "a torn file", put_torn, true, true, NULL, true },
};

Test(store, reads_regular_files_only)
{
	struct staple_bytes bytes;

	for (size_t i = 0; i < ARRAY_LEN(foreign_rows); i++) {
		const struct foreign_row *row = &foreign_rows[i];
		bool ok;

		remove(file_path());
		row->put(file_path());
		ok = staple_store_read(scratch.store, ID, MAX, &bytes, &err);
		cr_expect_eq(ok, row->from_store, "%s", row->what);
		cr_expect_eq(bytes.data != NULL, ok, "%s", row->what);
		if (!ok) {
			cr_expect_not_null(
			    strstr(err.text, file_path()), "%s", err.text);
			cr_expect_not_null(
			    strstr(err.text, row->says), "%s", err.text);
		}
		free(bytes.data);
	}
}

Test(store, reads_a_staple_file_through_links_too)
{
	struct staple_bytes bytes;

	for (size_t i = 0; i < ARRAY_LEN(foreign_rows); i++) {
		const struct foreign_row *row = &foreign_rows[i];

		remove(file_path());
		row->put(file_path());
		cr_expect_eq(staple_file_read(file_path(), MAX, &bytes, &err),
		    row->from_anywhere, "%s", row->what);
		cr_expect_eq(
		    bytes.data != NULL, row->from_anywhere, "%s", row->what);
		free(bytes.data);
	}
}

Test(store, finds_no_staple_file_behind_a_dangling_link)
{
	struct staple_bytes bytes;

	put_dangling(file_path());
	cr_expect(staple_file_read(file_path(), MAX, &bytes, &err));
	cr_expect_null(bytes.data);
	cr_expect_not(staple_store_read(scratch.store, ID, MAX, &bytes, &err));
}

Test(store, replaces_what_is_in_its_place_and_never_writes_through_it)
{
	char target[256];
	struct stat status;

	for (size_t i = 0; i < ARRAY_LEN(foreign_rows); i++) {
		const struct foreign_row *row = &foreign_rows[i];

		remove(file_path());
		row->put(file_path());
		cr_expect_eq(save("new"), row->replaced, "%s", row->what);
		cr_expect_eq(count_aside(), 0, "%s", row->what);
		if (row->replaced)
			expect("new", row->what);
	}
	cr_expect_eq(stat(in_top("target", target), &status), 0);
	cr_expect_eq(status.st_size, strlen("target"));
}

/* ---- several processes ---- */

enum { WRITERS = 4, WRITES = 100 };

/* Saves one of two texts again and again; its exit status. */
static int
save_often(const char *text)
{
	for (int i = 0; i < WRITES; i++) {
		if (!save(text))
			return 1;
	}
	return 0;
}

static bool
is_over(pid_t child)
{
	int status;

	if (waitpid(child, &status, WNOHANG) == 0)
		return false;
	cr_assert(WIFEXITED(status));
	cr_expect_eq(WEXITSTATUS(status), 0, "a save failed");
	return true;
}

Test(store, lets_processes_write_the_same_file_at_the_same_time)
{
	static const char *const texts[] = { "the one", "the other one" };
	pid_t children[WRITERS];
	const char *text;

	cr_assert(save(texts[0]));
	for (int i = 0; i < WRITERS; i++) {
		children[i] = fork();
		if (children[i] == 0)
			_exit(save_often(texts[i % 2]));
	}
	for (int i = 0; i < WRITERS; i++) {
		while (!is_over(children[i])) {
			text = load();
			cr_assert_not_null(text, "the file is gone");
			cr_assert(strcmp(text, texts[0]) == 0 ||
				      strcmp(text, texts[1]) == 0,
			    "%s", text);
		}
	}
	cr_expect_eq(count_aside(), 0);
}

Test(store, claims_each_certificate_once)
{
	struct staple_claim *mine, *other, *again;
	char path[256];
	struct staple_store *store = staple_store_open(
	    in_top("store", path), &err);

	cr_assert(staple_store_claim(scratch.store, ID, &mine));
	cr_assert_not_null(mine);
	cr_expect_not(staple_store_claim(store, ID, &again));
	cr_expect_null(again);
	cr_assert(staple_store_claim(store, OTHER_ID, &other));
	cr_assert_not_null(other);
	staple_claim_release(mine);
	cr_expect(staple_store_claim(store, ID, &again));
	cr_expect_not_null(again);
	staple_claim_release(again);
	staple_claim_release(other);
	staple_claim_release(NULL);
	staple_store_close(store);
}

Test(store, does_without_claims_where_nothing_can_be_locked)
{
	struct staple_claim *claim;
	char path[256];

	cr_assert_eq(mkdir(in_top("store/ocsp/.lock", path), 0700), 0);
	cr_expect(staple_store_claim(scratch.store, ID, &claim));
	cr_expect_null(claim);
}

/* ---- sweeping ---- */

enum { MINUTE = 60, HOUR = 3600, DAY = 24 * HOUR };

static bool
is_id(void *arg, const char *id)
{
	return strcmp(id, arg) == 0;
}

static void
sweep(const char *known)
{
	struct staple_sweep *sweep = staple_sweep_open(
	    scratch.store, time(NULL), is_id, (void *)(uintptr_t)known);

	cr_assert_not_null(sweep);
	while (staple_sweep_step(sweep))
		;
	staple_sweep_close(sweep);
}

/* A file of that age in the folder of the store. */
static void
put_aged(const char *name, int64_t age_s)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
		{ .tv_sec = time(NULL) - age_s } };
	char path[256], in_store[128];

	snprintf(in_store, sizeof(in_store), "store/ocsp/%s", name);
	put(in_top(in_store, path), "text");
	cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static const struct sweep_row {
	const char *name;
	int64_t age_s;
	bool stays;
} sweep_rows[] = {
	{ OTHER_ID, 30 * DAY - MINUTE, true },
	{ OTHER_ID, 30 * DAY + MINUTE, false },
	{ OTHER_ID, -40 * DAY, true },
	{ ID, 400 * DAY, true }, /* the known one */
	{ "." OTHER_ID ".0123456789abcdef.tmp", HOUR - MINUTE, true },
	{ "." OTHER_ID ".0123456789abcdef.tmp", HOUR + MINUTE, false },
	{ "." ID ".0123456789abcdef.tmp", HOUR + MINUTE, false },
	{ "." ID ".tmp", HOUR + MINUTE, false }, /* of earlier versions */
	{ "." ID ".tmp", HOUR - MINUTE, true },
	{ "." ID ".0123456789abcde.tmp", 400 * DAY, true },
	{ "." ID ".0123456789abcdef.tmp~", 400 * DAY, true },
	{ ID ".tmp", 400 * DAY, true },
	{ OTHER_ID "0", 400 * DAY, true },
	{ ".lock", 400 * DAY, true },
	{ "notes", 400 * DAY, true },
};

Test(store, removes_what_is_unknown_and_what_a_kill_left_when_it_is_old)
{
	for (size_t i = 0; i < ARRAY_LEN(sweep_rows); i++) {
		const struct sweep_row *row = &sweep_rows[i];
		char path[128];

		put_aged(row->name, row->age_s);
		sweep(ID);
		snprintf(path, sizeof(path), "store/ocsp/%s", row->name);
		cr_expect_eq(exists(path), row->stays, "%s, %lld s", row->name,
		    (long long)row->age_s);
	}
}

static int64_t
age_of_file(void)
{
	struct stat status;

	cr_assert_eq(stat(file_path(), &status), 0);
	return time(NULL) - status.st_mtim.tv_sec;
}

Test(store, marks_a_file_in_use_at_most_daily)
{
	put_aged(ID, DAY - MINUTE);
	sweep(ID);
	cr_expect_geq(age_of_file(), DAY - MINUTE);
	put_aged(ID, DAY + MINUTE);
	sweep(OTHER_ID);
	cr_expect_geq(age_of_file(), DAY, "it is not ours");
	sweep(ID);
	cr_expect_lt(age_of_file(), MINUTE);
	put_aged(ID, -400 * DAY);
	sweep(ID);
	cr_expect_geq(age_of_file(), 0, "not in a year that has not come");
}

Test(store, keeps_an_old_file_that_another_process_is_fetching)
{
	struct staple_claim *claim;

	put_aged(OTHER_ID, 31 * DAY);
	cr_assert(staple_store_claim(scratch.store, OTHER_ID, &claim));
	sweep(ID);
	cr_expect(exists("store/ocsp/" OTHER_ID));
	staple_claim_release(claim);
	sweep(ID);
	cr_expect_not(exists("store/ocsp/" OTHER_ID));
}

Test(store, sweeps_links_and_folders_from_no_place)
{
	char path[256], target[256];

	cr_assert_eq(mkdir(in_top("store/ocsp/" OTHER_ID, path), 0700), 0);
	put(in_top("target", target), "target");
	cr_assert_eq(
	    symlink(target, in_top("store/ocsp/." ID ".tmp", path)), 0);
	sweep(ID);
	cr_expect(exists("store/ocsp/" OTHER_ID));
	cr_expect(exists("store/ocsp/." ID ".tmp"));
	cr_expect(exists("target"));
}

Test(store, sweeps_a_large_folder_in_steps)
{
	struct staple_sweep *sweep;
	unsigned steps = 1;
	char name[128];

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "%.60s%04x", OTHER_ID, i);
		put_aged(name, 31 * DAY);
	}
	sweep = staple_sweep_open(
	    scratch.store, time(NULL), is_id, (void *)(uintptr_t)ID);
	while (staple_sweep_step(sweep))
		steps++;
	staple_sweep_close(sweep);
	cr_expect_geq(steps, 4);
	cr_expect_not(exists(name));
}

/* ---- folders ---- */

Test(store, works_again_when_its_folder_is_back)
{
	char ocsp[256];

	cr_assert_eq(rmdir(in_top("store/ocsp", ocsp)), 0);
	cr_expect_not(save("x"));
	cr_expect_not_null(
	    strstr(err.text, "create its parent folder"), "%s", err.text);
	cr_expect_null(load(), "no folder, no file");
	put(ocsp, "a file in its place");
	cr_expect_not(save("x"));
	cr_expect_not_null(strstr(err.text, "put a folder"), "%s", err.text);
	cr_assert_eq(unlink(ocsp), 0);
	cr_assert_eq(mkdir(ocsp, 0700), 0);
	cr_expect(save("x"));
	expect("x", "a new folder");
}

static const struct open_row {
	const char *what, *file, *store_dir, *says;
} open_rows[] = {
	{ "no parent", NULL, "no/parent", "No such file" },
	{ "a file as store_dir", "file", "file", "put a folder in the place" },
	{ "a file as its parent", "file", "file/store", "put a folder" },
	{ "a file as ocsp", "store2/ocsp", "store2", "put a folder" },
	{ "a folder that is there", NULL, "store2", NULL },
	{ "made", NULL, "store3", NULL },
};

Test(store, names_the_folder_in_the_way)
{
	char path[256];

	cr_assert_eq(mkdir(in_top("store2", path), 0700), 0);
	for (size_t i = 0; i < ARRAY_LEN(open_rows); i++) {
		const struct open_row *row = &open_rows[i];
		struct staple_store *other;

		if (row->file != NULL)
			put(in_top(row->file, path), "");
		other = staple_store_open(in_top(row->store_dir, path), &err);
		cr_expect_eq(other == NULL, row->says != NULL, "%s", row->what);
		if (other == NULL && row->says != NULL) {
			cr_expect_not_null(
			    strstr(err.text, path), "%s", err.text);
			cr_expect_not_null(
			    strstr(err.text, row->says), "%s", err.text);
		}
		staple_store_close(other);
		if (row->file != NULL)
			cr_assert_eq(unlink(in_top(row->file, path)), 0);
	}
}

/* ---- root ---- */

enum { USER = 65534, GROUP = 65533 };

static void
expect_owner(const char *name, uid_t user)
{
	struct stat status;
	char path[256];

	cr_assert_eq(lstat(in_top(name, path), &status), 0, "%s", name);
	cr_expect_eq(status.st_uid, user, "%s is of %u", name, status.st_uid);
	cr_expect_eq(status.st_gid, user == USER ? GROUP : 0, "%s", name);
}

static void
save_in(const char *store_dir)
{
	char path[256];
	struct staple_store *store = staple_store_open(
	    in_top(store_dir, path), &err);
	struct staple_claim *claim;

	cr_assert_not_null(store, "%s", err.text);
	cr_assert(staple_store_write(store, ID, (const void *)"text", 4, &err));
	cr_assert(staple_store_claim(store, ID, &claim));
	cr_expect_not_null(claim);
	staple_claim_release(claim);
	staple_store_close(store);
}

static void
make_given(const char *name, uid_t user, gid_t group)
{
	char path[256];

	cr_assert_eq(mkdir(in_top(name, path), 0755), 0);
	cr_assert_eq(chown(path, user, group), 0);
}

static void
save_issuer_in(const char *name)
{
	char path[256];
	struct staple_store *store = staple_store_open_issuers(
	    in_top(name, path), &err);

	cr_assert_not_null(store, "%s", err.text);
	cr_assert(staple_store_write(store, ID, (const void *)"one", 3, &err),
	    "%s", err.text);
	staple_store_close(store);
}

Test(store, gives_what_root_makes_to_the_owner_of_the_folder)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	make_given("theirs", USER, GROUP);
	save_in("theirs");
	expect_owner("theirs/ocsp", USER);
	expect_owner("theirs/ocsp/" ID, USER);
	expect_owner("theirs/ocsp/.lock", USER);
	save_issuer_in("theirs");
	expect_owner("theirs/issuer", USER);
	expect_owner("theirs/issuer/" ID, USER);
	save_in("theirs/made");
	expect_owner("theirs/made", USER);
	expect_owner("theirs/made/ocsp", USER);
	expect_owner("theirs/made/ocsp/" ID, USER);
	make_given("ours", 0, 0);
	save_in("ours");
	expect_owner("ours/ocsp", 0);
	expect_owner("ours/ocsp/" ID, 0);
}

/* As the process would that starts as that user afterwards. */
static int
replace_as_user(void)
{
	char path[256];
	struct staple_store *store;
	struct staple_bytes bytes;

	if (setgid(GROUP) != 0 || setuid(USER) != 0)
		return 2;
	store = staple_store_open(in_top("theirs", path), &err);
	if (store == NULL || !staple_store_read(store, ID, MAX, &bytes, &err) ||
	    bytes.data == NULL)
		return 3;
	free(bytes.data);
	return staple_store_write(store, ID, (const void *)"new", 3, &err) ? 0
									   : 4;
}

Test(store, can_be_used_by_a_user_after_root_used_it)
{
	int status;
	pid_t child;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(chmod(scratch.path, 0755), 0);
	make_given("theirs", USER, GROUP);
	save_in("theirs");
	child = fork();
	if (child == 0)
		_exit(replace_as_user());
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(status, 0, "%d", WEXITSTATUS(status));
}

/* A folder that was there keeps its owner, even behind a link. */
Test(store, changes_the_owner_of_nothing_that_was_there)
{
	char path[256], target[256];

	if (geteuid() != 0)
		cr_skip_test("needs root");
	make_given("theirs", USER, GROUP);
	make_given("roots", 0, 0);
	cr_assert_eq(
	    symlink(in_top("roots", target), in_top("theirs/ocsp", path)), 0);
	save_in("theirs");
	expect_owner("roots", 0);
	expect_owner("theirs/ocsp", 0);
	expect_owner("roots/" ID, 0);
}

Test(store, lives_as_long_as_its_references)
{
	struct staple_store *mine = staple_store_ref(scratch.store);

	staple_store_close(scratch.store);
	cr_expect(save("x"), "%s", err.text);
	staple_store_close(mine);
	scratch.store = NULL;
}

/* ---- stamps ---- */

static bool
changed_since(struct staple_stamp *before)
{
	struct staple_stamp now;
	bool same;

	staple_file_stamp(file_path(), &now);
	same = memcmp(&now, before, sizeof(now)) == 0;
	*before = now;
	return !same;
}

Test(store, notices_when_a_file_is_another_one)
{
	static const struct staple_stamp nothing;
	struct timespec far[] = { { INT64_MAX / 4, 0 }, { 1 << 30, 1 } };
	struct staple_stamp stamp = nothing;

	cr_expect_not(changed_since(&stamp), "there is none");
	put(file_path(), "one");
	cr_expect(changed_since(&stamp), "it came");
	cr_expect_not(changed_since(&stamp), "it is the same");
	put(file_path(), "longer");
	cr_expect(changed_since(&stamp), "another size");
	cr_assert_eq(utimensat(AT_FDCWD, file_path(), far, 0), 0);
	cr_expect(changed_since(&stamp), "another time");
	cr_assert(save("longer"));
	cr_assert_eq(utimensat(AT_FDCWD, file_path(), far, 0), 0);
	cr_expect(changed_since(&stamp), "another file of that size and time");
	cr_assert_eq(unlink(file_path()), 0);
	cr_expect(changed_since(&stamp), "it went");
	cr_expect_arr_eq(&stamp, &nothing, sizeof(stamp));
}

#define KILLED 9

static struct {
	unsigned step;         /* calls so far */
	unsigned kill_at;      /* 0: never */
	unsigned fail_at;      /* 0: never */
	int errnum;            /* of the failure */
	const char *grow_path; /* grows after its size was read */
} fault;

int __real_openat(int folder, const char *name, int flags, mode_t mode);
int __wrap_openat(int folder, const char *name, int flags, mode_t mode);
ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_renameat(int from, const char *a, int to, const char *b);
int __wrap_renameat(int from, const char *a, int to, const char *b);
int __real_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status);

/* Is this step to fail?  Or does everything end here? */
static bool
fails(void)
{
	fault.step++;
	if (fault.step == fault.kill_at)
		_exit(KILLED);
	errno = fault.errnum;
	return fault.step == fault.fail_at;
}

int
__wrap_openat(int folder, const char *name, int flags, mode_t mode)
{
	return fails() ? -1 : __real_openat(folder, name, flags, mode);
}

/* Writes half of it, as a disk that fills up does. */
ssize_t
__wrap_write(int fd, const void *bytes, size_t len)
{
	return fails() ? -1 : __real_write(fd, bytes, len > 1 ? len / 2 : len);
}

int
__wrap_fsync(int fd)
{
	return fails() ? -1 : __real_fsync(fd);
}

int
__wrap_renameat(int from, const char *a, int to, const char *b)
{
	return fails() ? -1 : __real_renameat(from, a, to, b);
}

int
__wrap_fstat(int fd, struct stat *status)
{
	int result = __real_fstat(fd, status);
	FILE *file;

	if (fault.grow_path != NULL) {
		file = fopen(fault.grow_path, "a");
		cr_assert(file != NULL && fputc('x', file) == 'x' &&
			  fclose(file) == 0);
	}
	return result;
}

static void
set_up(void)
{
	folder_set_up();
	memset(&fault, 0, sizeof(fault));
}

static void
tear_down(void)
{
	memset(&fault, 0, sizeof(fault));
	folder_tear_down();
}

TestSuite(store_faults, .init = set_up, .fini = tear_down, .timeout = 20);

/* The child's exit status. */
static int
save_in_child(void)
{
	int status;
	pid_t child = fork();

	cr_assert_geq(child, 0);
	if (child == 0)
		_exit(save("the new one") ? 0 : 1);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

Test(store_faults, is_whole_after_a_kill_at_any_step)
{
	unsigned step = 0, kept = 0, aside = 0, left, was_left = 0;
	const char *text;
	int status;

	do {
		cr_assert(save("old"));
		fault.kill_at = fault.step + ++step;
		status = save_in_child();
		fault.kill_at = 0;
		left = count_aside();
		aside += left > was_left;
		text = load();
		cr_assert_not_null(text, "step %u", step);
		kept += strcmp(text, "old") == 0;
		if (strcmp(text, "old") != 0)
			cr_expect_str_eq(text, "the new one", "step %u", step);
		cr_expect(save("old"), "step %u: %s", step, err.text);
		cr_expect_eq(count_aside(), left, "step %u", step);
		was_left = left;
	} while (status == KILLED);
	cr_expect_eq(status, 0);
	cr_expect_geq(aside, 3, "a torn file was left, and in nobody's way");
	cr_expect_geq(kept, 4, "before create, write, sync and rename");
	cr_expect_gt(step, kept + 1, "and after the rename");
}

static const struct errno_row {
	int errnum;
	const char *advice;
} errno_rows[] = {
	{ ENOSPC, "make room there" },
	{ EDQUOT, "make room there" },
	{ EROFS, "another store_dir" },
	{ EACCES, "user of this process" },
	{ EPERM, "user of this process" },
	{ EIO, "Input/output error" },
};

/* Whether what is there is the new one all the same. */
static bool
fail_at(unsigned step, const struct errno_row *row)
{
	bool renamed;
	const char *text;

	cr_assert(save("old"));
	fault.errnum = row->errnum;
	fault.fail_at = fault.step + step;
	cr_expect_not(save("new"), "step %u", step);
	fault.fail_at = 0;
	cr_expect_eq(count_aside(), 0, "step %u", step);
	cr_expect_not_null(strstr(err.text, file_path()), "%s", err.text);
	cr_expect_not_null(strstr(err.text, row->advice), "%s", err.text);
	text = load();
	cr_assert_not_null(text, "step %u", step);
	renamed = strcmp(text, "new") == 0;
	if (!renamed)
		cr_expect_str_eq(text, "old", "step %u", step);
	return renamed;
}

/* Create, three writes, sync, rename; and the folder's sync. */
Test(store_faults, keeps_the_old_one_when_a_step_fails)
{
	for (size_t i = 0; i < ARRAY_LEN(errno_rows); i++) {
		for (unsigned step = 1; step <= 6; step++)
			cr_expect_not(fail_at(step, &errno_rows[i]));
		cr_expect(fail_at(7, &errno_rows[i]));
	}
}

Test(store_faults, accepts_that_some_folders_cannot_be_synced)
{
	fault.errnum = EINVAL;
	fault.fail_at = fault.step + 7;
	cr_expect(save("new"), "%s", err.text);
	expect("new", "the rename is done");
}

Test(store_faults, goes_on_after_an_interrupted_write)
{
	fault.errnum = EINTR;
	fault.fail_at = fault.step + 3; /* the second write */
	cr_expect(save("a longer text"), "%s", err.text);
	expect("a longer text", "interrupted");
}

Test(store_faults, survives_a_file_size_limit)
{
	struct rlimit limit = { .rlim_cur = 4, .rlim_max = RLIM_INFINITY };

	cr_assert(save("old"));
	signal(SIGXFSZ, SIG_IGN); /* threads of ours block every signal */
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_expect_not(save("longer"));
	limit.rlim_cur = RLIM_INFINITY;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	expect("old", "after a failure");
	cr_expect_eq(count_aside(), 0);
}

Test(store_faults, notices_a_file_that_grows_under_its_eyes)
{
	struct staple_bytes bytes;

	put(file_path(), "text");
	fault.grow_path = file_path();
	cr_expect_not(staple_store_read(scratch.store, ID, MAX, &bytes, &err));
	cr_expect_not_null(strstr(err.text, "grew"), "%s", err.text);
	cr_expect_null(bytes.data);
}
