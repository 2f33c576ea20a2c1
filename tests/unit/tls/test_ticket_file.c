/*
 * The file of ticket keys: what is taken, what is refused and in which words,
 * and who may read it.
 */
#include "tls/ticket_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/evp.h>

#include "base/err.h"
#include "tests/support/pki.h"
#include "tests/support/visit.h"

#define HOW "openssl rand 80 | openssl base64 -A"

/* For the rows: the base64 of 80 bytes, a whole line. */
#define A4 "QUFB"
#define A16 A4 A4 A4 A4
#define A96 A16 A16 A16 A16 A16 A16
#define KEY_A A96 A4 A4 "QUE=" /* 80 times 'A' */
#define B4 "QkJC"
#define B16 B4 B4 B4 B4
#define KEY_B B16 B16 B16 B16 B16 B16 B4 B4 "QkI=" /* 80 times 'B' */

static struct pki_folder folder;
static struct ticket_file file;
static struct err err, warning;

static void
set_up(void)
{
	pki_folder_make(&folder);
}

static void
tear_down(void)
{
	pki_folder_remove(&folder);
}

TestSuite(ticket_file, .init = set_up, .fini = tear_down);

static bool
read_text(
    const char *text, enum config_key_permissions permissions, unsigned mode)
{
	char *path = pki_write(&folder, "keys", text);
	bool ok;

	cr_assert_eq(chmod(path, mode), 0);
	err.text[0] = '\0';
	ok = ticket_file_read(&file, path, permissions, &warning, &err);
	free(path);
	return ok;
}

Test(ticket_file, tells_name_and_keys_apart)
{
	unsigned char bytes[80];
	char text[VISIT_LINE];

	memset(bytes, 'n', 16);
	memset(bytes + 16, 'e', 32);
	memset(bytes + 48, 'm', 32);
	EVP_EncodeBlock((unsigned char *)text, bytes, sizeof(bytes));
	cr_assert(read_text(text, KEYS_ANY, 0600), "%s", err.text);
	cr_assert_eq(file.count, 1);
	cr_assert_eq(memcmp(file.keys[0].name, bytes, 16), 0);
	cr_assert_eq(memcmp(file.keys[0].aes, bytes + 16, 32), 0);
	cr_assert_eq(memcmp(file.keys[0].hmac, bytes + 48, 32), 0);
}

static const struct {
	const char *what;
	const char *text;
	size_t count;
} taken[] = {
	{ "one key", KEY_A "\n", 1 },
	{ "without a last line end", KEY_A, 1 },
	{ "two keys", KEY_A "\n" KEY_B "\n", 2 },
	{ "lines as Windows ends them", KEY_A "\r\n" KEY_B "\r\n", 2 },
	{ "comments", "# of May\n" KEY_A "\n  # of April\n" KEY_B "\n", 2 },
	{ "empty lines", "\n" KEY_A "\n\n \t\n\r\n" KEY_B "\n\n", 2 },
	{ "blanks around a key", " \t" KEY_A " \t\n", 1 },
};

Test(ticket_file, takes_keys_in_their_order)
{
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		cr_assert(read_text(taken[i].text, KEYS_ANY, 0600), "%s: %s",
		    taken[i].what, err.text);
		cr_assert_eq(file.count, taken[i].count, "%s", taken[i].what);
		cr_assert_eq(file.keys[0].name[0], 'A', "%s", taken[i].what);
		cr_assert(taken[i].count == 1 || file.keys[1].hmac[31] == 'B',
		    "%s", taken[i].what);
	}
}

static const struct {
	const char *what;
	const char *text;
	const char *sentence; /* part of it */
} refused[] = {
	{ "an empty file", "", "is empty" },
	{ "comments alone", "# none yet\n",
	    "no ticket key; make one with: " HOW },
	{ "48 bytes", "# nginx\n" A16 A16 A16 A16 "\n",
	    "keys:2: a key of 48 bytes is for AES-128" },
	{ "48 bytes: what to do", A16 A16 A16 A16 "\n", HOW },
	{ "78 bytes", A96 A4 A4 "\n", "keys:1: a ticket key is a line" },
	{ "79 bytes", A96 A4 A4 "QQ==\n", "keys:1: a ticket key is a line" },
	{ "81 bytes", A96 A4 A4 A4 "\n", "keys:1: a ticket key is a line" },
	{ "a second line cut short", KEY_A "\n" A96 A4 A4 "QU\n",
	    "keys:2: a ticket key is a line" },
	{ "no base64", A96 A4 A4 "QU!=\n", HOW },
	{ "padding in the middle", A96 "QU==" A4 "QUE=\n", HOW },
	{ "padding alone", "====\n", HOW },
	{ "a blank in a key", A96 " UFB" A4 "QUE=\n", HOW },
	{ "two keys in a line", KEY_A KEY_B "\n", HOW },
	{ "words after a key", KEY_A " # of May\n", HOW },
	{ "a longer line than any key", A96 A96 A96 A96 "\n", HOW },
	{ "the same key twice", KEY_A "\n" KEY_B "\n" KEY_A "\n",
	    "keys:3: this key has the name" },
};

Test(ticket_file, refuses_what_is_no_list_of_keys)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		cr_assert_not(read_text(refused[i].text, KEYS_ANY, 0600), "%s",
		    refused[i].what);
		cr_assert_not_null(strstr(err.text, refused[i].sentence),
		    "%s: %s", refused[i].what, err.text);
		cr_assert_not_null(strstr(err.text, folder.path), "%s: %s",
		    refused[i].what, err.text);
		ticket_file_wipe(&file);
	}
}

static void
write_keys(char *text, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		visit_key_line(text + strlen(text), (uint8_t)(i + 1));
}

Test(ticket_file, takes_eight_keys_and_not_nine)
{
	char text[(TICKET_KEYS_MAX + 1) * VISIT_LINE] = "";

	write_keys(text, TICKET_KEYS_MAX);
	cr_assert(read_text(text, KEYS_ANY, 0600), "%s", err.text);
	cr_assert_eq(file.count, TICKET_KEYS_MAX);
	visit_key_line(text + strlen(text), TICKET_KEYS_MAX + 1);
	cr_assert_not(read_text(text, KEYS_ANY, 0600));
	cr_assert_not_null(strstr(err.text, "keys:9: more than 8 ticket keys"),
	    "%s", err.text);
}

/* Such as nginx takes. */
Test(ticket_file, refuses_raw_bytes)
{
	unsigned char bytes[80] = { 0 };
	char *path = pki_write(&folder, "keys", "");
	FILE *out = fopen(path, "w");

	cr_assert_not_null(out);
	memset(bytes + 1, 0xf3, sizeof(bytes) - 1);
	cr_assert_eq(fwrite(bytes, sizeof(bytes), 1, out), 1);
	cr_assert_eq(fclose(out), 0);
	cr_assert_not(ticket_file_read(&file, path, KEYS_ANY, NULL, &err));
	cr_assert_not_null(strstr(err.text, "keys:1: "), "%s", err.text);
	cr_assert_not_null(strstr(err.text, HOW), "%s", err.text);
	free(path);
}

/* Opening a FIFO must not hang. */
Test(ticket_file, refuses_what_is_no_file, .timeout = 10)
{
	char path[96];

	cr_assert_not(
	    ticket_file_read(&file, folder.path, KEYS_ANY, NULL, &err));
	cr_assert_not_null(
	    strstr(err.text, "is a directory, not a file of ticket keys"));
	snprintf(path, sizeof(path), "%s/missing", folder.path);
	cr_assert_not(ticket_file_read(&file, path, KEYS_ANY, NULL, &err));
	cr_assert_not_null(strstr(err.text, "No such file"), "%s", err.text);
	snprintf(path, sizeof(path), "%s/pipe", folder.path);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_not(ticket_file_read(&file, path, KEYS_ANY, NULL, &err));
	cr_assert_not_null(strstr(err.text, "not a regular file"));
}

static const struct {
	const char *what;
	enum config_key_permissions permissions;
	unsigned mode;
	bool ok;
	bool warns;
} modes[] = {
	{ "warn, for the group", KEYS_WARN, 0640, true, false },
	{ "warn, for everybody", KEYS_WARN, 0644, true, true },
	{ "refuse, for the group", KEYS_REFUSE, 0640, true, false },
	{ "refuse, for everybody", KEYS_REFUSE, 0644, false, false },
	{ "any, for everybody", KEYS_ANY, 0644, true, false },
};

Test(ticket_file, is_as_private_as_a_key)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		cr_assert_eq(
		    read_text(KEY_A, modes[i].permissions, modes[i].mode),
		    modes[i].ok, "%s: %s", modes[i].what, err.text);
		cr_assert_eq(warning.text[0] != '\0', modes[i].warns, "%s: %s",
		    modes[i].what, warning.text);
		cr_assert(
		    !modes[i].warns || strstr(warning.text, "chmod o=") != NULL,
		    "%s: %s", modes[i].what, warning.text);
		cr_assert(modes[i].ok || strstr(err.text, "chmod o=") != NULL,
		    "%s: %s", modes[i].what, err.text);
	}
}

Test(ticket_file, leaves_nothing_when_wiped)
{
	static const struct ticket_file nothing;

	cr_assert(read_text(KEY_A "\n" KEY_B "\n", KEYS_ANY, 0600));
	ticket_file_wipe(&file);
	cr_assert_eq(memcmp(&file, &nothing, sizeof(file)), 0);
}
