/*
 * Which files of cert_dir are certificates, and where their keys are.
 */
#include "runtime/folder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "tests/support/pki.h"

static struct pki_folder scratch;

static void
set_up(void)
{
	pki_folder_make(&scratch);
}

static void
tear_down(void)
{
	pki_folder_remove(&scratch);
}

TestSuite(folder, .init = set_up, .fini = tear_down);

/* "cert cert+key ..." without the folder in front. */
static void
list(char *text, size_t max)
{
	struct folder folder;
	struct err err;
	size_t i, used = 0, skip = strlen(scratch.path) + 1;

	cr_assert(folder_list(&folder, scratch.path, &err), "%s", err.text);
	text[0] = '\0';
	for (i = 0; i < folder.count; i++) {
		const struct folder_item *item = &folder.items[i];
		bool apart = strcmp(item->cert, item->key) != 0;

		used += (size_t)snprintf(text + used, max - used, "%s%s%s%s",
		    i ? " " : "", item->cert + skip, apart ? "+" : "",
		    apart ? item->key + skip : "");
	}
	folder_free(&folder);
}

Test(folder, takes_pem_and_crt_files_in_order)
{
	static const char *const names[] = { "b.pem", "a.crt", ".hidden.pem",
		"notes.txt", "c.pem.old", ".pem", "z.key" };
	char text[256];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		free(pki_write(&scratch, names[i], "x"));
	list(text, sizeof(text));
	cr_expect_str_eq(text, "a.crt b.pem");
}

Test(folder, finds_the_key_beside_its_certificate)
{
	char text[256];

	free(pki_write(&scratch, "apart.crt", "x"));
	free(pki_write(&scratch, "apart.key", "x"));
	free(pki_write(&scratch, "joint.pem", "x"));
	list(text, sizeof(text));
	cr_expect_str_eq(text, "apart.crt+apart.key joint.pem");
}

Test(folder, follows_links_to_files_and_passes_over_folders)
{
	char path[128], text[256];

	free(pki_write(&scratch, "real.txt", "x"));
	snprintf(path, sizeof(path), "%s/link.pem", scratch.path);
	cr_assert_eq(symlink("real.txt", path), 0);
	snprintf(path, sizeof(path), "%s/lost.pem", scratch.path);
	cr_assert_eq(symlink("nowhere", path), 0);
	snprintf(path, sizeof(path), "%s/sub.pem", scratch.path);
	cr_assert_eq(mkdir(path, 0700), 0);
	list(text, sizeof(text));
	rmdir(path);
	cr_expect_str_eq(text, "link.pem lost.pem",
	    "one that leads nowhere is told of when it is loaded");
}

static void
put(const char *folder, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", scratch.path, folder);
	(void)mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	free(pki_write(&scratch, path, "x"));
}

static void
clear(const char *folder)
{
	static const char *const names[] = { "cert.pem", "chain.pem",
		"fullchain.pem", "privkey.pem", "README", "site.pem" };
	char path[256];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", scratch.path, folder,
		    names[i]);
		(void)unlink(path);
	}
	snprintf(path, sizeof(path), "%s/%s", scratch.path, folder);
	(void)rmdir(path);
}

Test(folder, takes_the_pair_of_each_folder_of_certbot)
{
	static const char *const names[] = { "cert.pem", "chain.pem",
		"fullchain.pem", "privkey.pem", "README" };
	struct folder folder;
	char path[128], text[512];
	struct err err;

	free(pki_write(&scratch, "README", "x"));
	free(pki_write(&scratch, "flat.pem", "x"));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		put("b.example", names[i]);
		put(".hidden", names[i]);
	}
	put("empty", "README");
	put("other", "site.pem");
	put("new.example", "fullchain.pem"); /* its key is yet to come */
	snprintf(path, sizeof(path), "%s/linked", scratch.path);
	cr_assert_eq(symlink("b.example", path), 0);
	list(text, sizeof(text));
	cr_expect_str_eq(text,
	    "b.example/fullchain.pem+b.example/privkey.pem flat.pem "
	    "linked/fullchain.pem+linked/privkey.pem "
	    "new.example/fullchain.pem+new.example/privkey.pem");
	cr_assert(folder_list(&folder, scratch.path, &err));
	cr_expect_eq(folder.folder_count, 5, "all of them may get one");
	folder_free(&folder);
	unlink(path);
	clear("b.example");
	clear(".hidden");
	clear("empty");
	clear("other");
	clear("new.example");
}

Test(folder, takes_one_pair_of_a_folder_of_certbot_itself)
{
	static const char *const names[] = { "cert.pem", "chain.pem",
		"fullchain.pem", "privkey.pem" };
	char text[256];

	free(pki_write(&scratch, "site.pem", "x"));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		free(pki_write(&scratch, names[i], "x"));
	list(text, sizeof(text));
	cr_expect_str_eq(text, "fullchain.pem+privkey.pem site.pem");
}

Test(folder, names_a_folder_that_cannot_be_read)
{
	struct folder folder;
	struct err err;

	cr_expect_not(folder_list(&folder, "/nonexistent", &err));
	cr_expect_not_null(strstr(err.text, "/nonexistent"));
	folder_free(&folder);
}
