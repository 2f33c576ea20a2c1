/* Responses on disk, and what else may be found there: rules 1 to 4. */
#include "staple/store.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/staple/store_folder.h"

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
	cr_expect_gt(bytes.modified_s, 0);
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
	cr_expect_not(exists(ASIDE));
}

Test(store, has_nothing_of_a_certificate_that_is_new)
{
	cr_expect_null(load());
}

Test(store, tells_an_empty_file_from_none)
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
	/* Bytes are bytes here: who verifies them will see. */
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
		cr_expect_not(exists(ASIDE), "%s", row->what);
		if (row->replaced)
			expect("new", row->what);
	}
	cr_expect_eq(stat(in_top("target", target), &status), 0);
	cr_expect_eq(status.st_size, strlen("target"));
}

Test(store, removes_what_a_kill_left_aside)
{
	char path[256], target[256];

	put(in_top(ASIDE, path), "a much longer text that was torn");
	cr_expect(save("new"));
	expect("new", "a torn file aside");
	put(in_top("target", target), "target");
	cr_assert_eq(symlink(target, in_top(ASIDE, path)), 0);
	cr_expect(save("newer"));
	expect("newer", "a link aside");
	cr_assert_eq(mkdir(in_top(ASIDE, path), 0700), 0);
	cr_expect_not(save("newest"));
	expect("newer", "a folder aside");
}

/* ---- folders ---- */

Test(store, works_again_when_its_folder_is_back)
{
	char ocsp[256];

	cr_assert_eq(rmdir(in_top("store/ocsp", ocsp)), 0);
	cr_expect_not(save("x"));
	cr_expect_not_null(strstr(err.text, "make the folder"), "%s", err.text);
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

Test(store, says_which_folder_is_in_the_way)
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

Test(store, lives_as_long_as_somebody_holds_it)
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
