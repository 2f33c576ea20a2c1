/*
 * A file of ticket keys.  Main thread.  Lines of base64 rather than raw bytes:
 * a person can put the next key in front with an editor and say beside it
 * when, and half a file is not taken for a whole one.
 */
#include "tls/ticket_file.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/err.h"
#include "tls/pem.h"

#define MAKE_ONE "openssl rand 80 | openssl base64 -A"

enum {
	FILE_MAX = 1024 * 1024,
	KEY_BYTES = sizeof(struct ticket_key),
	/* What nginx and haproxy take for AES-128 keys. */
	SHORT_BYTES = 48,
	/* The longest line that is decoded at all; base64 is 4 for 3. */
	TEXT_MAX = 160,
	DECODED_MAX = TEXT_MAX / 4 * 3
};

_Static_assert(KEY_BYTES == 80, "a key is its bytes in the file");

/* One line, without its end. */
struct line {
	const char *path;
	unsigned number;
	const char *text;
	size_t len;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void
trim(struct line *line)
{
	while (line->len > 0 && is_blank(line->text[line->len - 1]))
		line->len--;
	while (line->len > 0 && is_blank(line->text[0])) {
		line->text++;
		line->len--;
	}
}

static size_t
count_padding(const struct line *line)
{
	size_t count = 0;

	while (count < 2 && count < line->len &&
	       line->text[line->len - 1 - count] == '=')
		count++;
	return count;
}

/* The number of bytes the base64 (RFC 4648 section 4) stands for; 0: it is
 * none.  OpenSSL takes padding for zeroes, wherever it stands. */
static size_t
decode(const struct line *line, uint8_t bytes[DECODED_MAX])
{
	size_t padding = count_padding(line);
	int n;

	if (line->len > TEXT_MAX || line->len % 4 != 0 ||
	    memchr(line->text, '=', line->len - padding) != NULL)
		return 0;
	n = EVP_DecodeBlock(
	    bytes, (const unsigned char *)line->text, (int)line->len);
	return n > 0 ? (size_t)n - padding : 0;
}

static bool
check_length(const struct line *line, size_t len, struct err *err)
{
	if (len == KEY_BYTES)
		return true;
	if (len == SHORT_BYTES)
		err_set(err,
		    "%s:%u: a key of 48 bytes is for AES-128, as nginx and "
		    "haproxy have it; this takes 80 bytes: " MAKE_ONE,
		    line->path, line->number);
	else
		err_set(err,
		    "%s:%u: a ticket key is a line with the base64 of 80 "
		    "bytes; make one with: " MAKE_ONE,
		    line->path, line->number);
	return false;
}

static bool
check_name(const struct ticket_file *file, const struct ticket_key *key,
    const struct line *line, struct err *err)
{
	size_t i;

	for (i = 0; i < file->count; i++)
		if (memcmp(file->keys[i].name, key->name, sizeof(key->name)) ==
		    0) {
			err_set(err,
			    "%s:%u: this key has the name (the first 16 "
			    "bytes) of one above it; make another with: " MAKE_ONE,
			    line->path, line->number);
			return false;
		}
	return true;
}

static bool
add_key(struct ticket_file *file, const struct ticket_key *key,
    const struct line *line, struct err *err)
{
	if (!check_name(file, key, line, err))
		return false;
	if (file->count == TICKET_KEYS_MAX) {
		err_set(err,
		    "%s:%u: more than %d ticket keys; remove the oldest, "
		    "which are the last",
		    line->path, line->number, TICKET_KEYS_MAX);
		return false;
	}
	file->keys[file->count++] = *key;
	return true;
}

static bool
read_line(struct ticket_file *file, struct line *line, struct err *err)
{
	uint8_t bytes[DECODED_MAX];
	struct ticket_key key;
	bool ok;

	trim(line);
	if (line->len == 0 || line->text[0] == '#')
		return true;
	ok = check_length(line, decode(line, bytes), err);
	if (ok) {
		memcpy(&key, bytes, sizeof(key));
		ok = add_key(file, &key, line, err);
		OPENSSL_cleanse(&key, sizeof(key));
	}
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return ok;
}

static bool
read_lines(struct ticket_file *file, const struct secret *text,
    const char *path, struct err *err)
{
	const char *at = text->data, *end = text->data + text->len;
	struct line line = { .path = path };

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		if (stop == NULL)
			stop = end;
		line.number++;
		line.text = at;
		line.len = (size_t)(stop - at);
		if (!read_line(file, &line, err))
			return false;
		at = stop < end ? stop + 1 : end;
	}
	if (file->count > 0)
		return true;
	err_set(err, "%s holds no ticket key; make one with: " MAKE_ONE, path);
	return false;
}

bool
ticket_file_read(struct ticket_file *file, const char *path,
    enum config_key_permissions permissions, struct err *warning,
    struct err *err)
{
	const struct secret_kind kind = { "file of ticket keys", FILE_MAX };
	struct err sentence;
	struct secret text;
	bool ok;

	*file = (struct ticket_file){ 0 };
	err_set(warning, "%s", "");
	ok = secret_read(&text, path, &kind, err) &&
	     read_lines(file, &text, path, err);
	if (ok) {
		ok = secret_check_mode(
		    "the ticket keys", path, text.mode, permissions, &sentence);
		err_set(ok ? warning : err, "%s", sentence.text);
	}
	secret_wipe(&text);
	return ok;
}

void
ticket_file_wipe(struct ticket_file *file)
{
	OPENSSL_cleanse(file, sizeof(*file));
}
