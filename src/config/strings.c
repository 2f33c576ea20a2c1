/*
 * Strings of a configuration.  Any thread.
 *
 * Patterns that can never match are errors: an allow_san rule without a match
 * locks all clients out, and a host whose name no client can send never serves
 * its certificate.
 *
 * The fuzzy match counts a swap of neighbouring letters as one edit, the most
 * frequent typing error (`acecpt`); the accepted distance grows with the
 * length, or every short key would be near every other.
 *
 * The map is open-addressed and at most half full, so a search always ends at
 * a free slot.  Its hash (FNV-1a) is not keyed: colliding keys can only come
 * from the configuration's own author.
 */
#include "config/strings.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/addr.h"
#include "base/err.h"
#include "config/arena.h"
#include "config/config.h"

#define LABEL_MAX 63 /* RFC 1035 section 2.3.4 */

static bool
is_address(const char *text)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	return strpbrk(text, "[:]") != NULL ||
	       inet_pton(AF_INET, text, bytes) == 1;
}

static bool
is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

/* An underscore is not valid in a host name, but clients send it. */
static bool
is_name_byte(char byte)
{
	return isalnum((unsigned char)byte) || byte == '-' || byte == '_';
}

static bool
check_label(const char *label, size_t length, struct err *err)
{
	if (length == 0)
		return err_set(err, "there is nothing between two dots");
	if (length > LABEL_MAX)
		return err_set(err,
		    "no part between dots is longer than %d bytes", LABEL_MAX);
	for (size_t i = 0; i < length; i++) {
		if (label[i] == '*')
			return err_set(err,
			    "a * stands for the whole first label and nothing "
			    "else: *.example.org");
		if (!is_name_byte(label[i]))
			return err_set(
			    err, "a name cannot contain '%c'", label[i]);
	}
	return true;
}

/* Check the first `length` bytes; at most a dot follows them. */
static bool
check_labels(const char *name, size_t length, struct err *err)
{
	for (;;) {
		size_t label = strcspn(name, ".");

		if (!check_label(name, label, err))
			return false;
		if (label >= length)
			return true;
		name += label + 1;
		length -= label + 1;
	}
}

static bool
check_kind(const char *text, struct err *err)
{
	if (!is_ascii(text))
		err_set(err,
		    "a name is ASCII: write its A-label, which begins with "
		    "xn--");
	else if (is_address(text))
		err_set(err,
		    "an address is not a name: clients never send one as SNI "
		    "(RFC 6066)");
	else if (strcmp(text, "*") == 0 || strcmp(text, "*.") == 0)
		err_set(err,
		    "a * alone matches every name: put such settings into the "
		    "listener");
	else
		return true;
	return false;
}

bool
pattern_normalise(
    char out[PATTERN_NAME_MAX + 1], const char *text, struct err *err)
{
	size_t length = strlen(text);
	size_t wild = strncmp(text, "*.", 2) == 0 ? 2 : 0;

	if (!check_kind(text, err))
		return false;
	if (length > wild && text[length - 1] == '.')
		length--;
	if (length > PATTERN_NAME_MAX)
		return err_set(
		    err, "no name is longer than %d bytes", PATTERN_NAME_MAX);
	if (!check_labels(text + wild, length - wild, err))
		return false;
	for (size_t i = 0; i < length; i++)
		out[i] = (char)tolower((unsigned char)text[i]);
	out[length] = '\0';
	return true;
}

/* "name@domain" or "*@domain". */
static bool
check_mail(const char *text, struct err *err)
{
	const char *at = strrchr(text, '@');

	if (at != NULL && at != text && at[1] != '\0' &&
	    (strchr(text, '*') == NULL ||
		(text[0] == '*' && at == text + 1 && strchr(at, '*') == NULL)))
		return true;
	return err_set(
	    err, "\"%.64s\" is neither name@domain nor *@domain", text);
}

/* "https://a.example*" would match https://a.example.net. */
static bool
is_in_authority(const char *text, const char *star)
{
	const char *host = strstr(text, "://");

	return host != NULL &&
	       (star < host + 3 ||
		   memchr(host + 3, '/', (size_t)(star - host - 3)) == NULL);
}

/* true: the "*" ends the URI or is a whole segment, or "**" is the last one. */
static bool
is_whole_segment(const char *text, const char *star)
{
	bool begins = star > text && star[-1] == '/';

	if (star[1] == '*')
		return begins && star[2] == '\0';
	return star[1] == '\0' || (begins && star[1] == '/');
}

static bool
check_uri(const char *text, struct err *err)
{
	const char *star = text;

	if (strchr(text, ':') == NULL)
		return err_set(err,
		    "\"%.64s\" is not a URI: write its scheme, as in "
		    "spiffe://example.org/ns/a",
		    text);
	while ((star = strchr(star, '*')) != NULL) {
		if (is_in_authority(text, star))
			return err_set(err,
			    "\"%.64s\" would match other hosts as well: the * "
			    "stands for one path segment, as in https://host/*",
			    text);
		if (!is_whole_segment(text, star))
			return err_set(err,
			    "\"%.64s\": a * stands for a whole path segment "
			    "or the end of the last one, ** for all segments "
			    "that follow: spiffe://host/ns/*/sa/a, "
			    "spiffe://host/**",
			    text);
		star += strspn(star, "*");
	}
	return true;
}

static bool
check_host(const char *text, struct err *err)
{
	char name[PATTERN_NAME_MAX + 1];

	if (is_address(text))
		return err_set(err,
		    "\"%.64s\" is not a name: write ip: before an address",
		    text);
	if (pattern_normalise(name, text, err))
		return true;
	err_prefix(err, "\"%.64s\"", text);
	return false;
}

static bool
check_range(const char *text, struct err *err)
{
	struct cidr cidr;

	return cidr_parse(&cidr, text, err);
}

bool
pattern_check_san(const char *text, struct err *err)
{
	static const struct {
		const char *prefix;
		bool (*check)(const char *text, struct err *err);
	} kinds[] = {
		{ "dns:", check_host },
		{ "email:", check_mail },
		{ "uri:", check_uri },
		{ "ip:", check_range },
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t length = strlen(kinds[i].prefix);

		if (strncasecmp(text, kinds[i].prefix, length) == 0)
			return kinds[i].check(text + length, err);
	}
	return check_host(text, err);
}

#define NAME_MAX_LENGTH 48 /* longer than any key */

static const char *
skip_dashes(const char *text)
{
	/* Not by strspn(): this is the inner loop of finding a key. */
	while (*text == '-' || *text == '_')
		text++;
	return text;
}

bool
fuzzy_same(const char *a, const char *b)
{
	for (;; a++, b++) {
		a = skip_dashes(a);
		b = skip_dashes(b);
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (*a == '\0')
			return true;
	}
}

bool
fuzzy_in(const char *list, const char *word)
{
	char one[NAME_MAX_LENGTH + 1];
	size_t length;

	for (; list != NULL && *list != '\0'; list += length) {
		list += strspn(list, " ");
		length = strcspn(list, " ");
		if (length == 0 || length > NAME_MAX_LENGTH)
			continue;
		memcpy(one, list, length);
		one[length] = '\0';
		if (fuzzy_same(one, word))
			return true;
	}
	return false;
}

/* Lower case without dashes.  Returns the length; 0: longer than any key. */
static size_t
plain(char out[NAME_MAX_LENGTH], const char *text)
{
	size_t length = 0;

	for (text = skip_dashes(text); *text != '\0';
	     text = skip_dashes(text + 1)) {
		if (length == NAME_MAX_LENGTH)
			return 0;
		out[length++] = (char)tolower((unsigned char)*text);
	}
	return length;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The optimal string alignment distance, with three rows of its table. */
static size_t
distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	uint8_t rows[3][NAME_MAX_LENGTH + 1];
	uint8_t *before = rows[0], *above = rows[1], *row = rows[2], *spare;

	for (size_t j = 0; j <= b_length; j++)
		before[j] = above[j] = (uint8_t)j;
	for (size_t i = 1; i <= a_length; i++) {
		row[0] = (uint8_t)i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t cost = a[i - 1] != b[j - 1];
			size_t best = least(above[j], row[j - 1]) + 1u;

			best = least(best, above[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				best = least(best, before[j - 2] + 1u);
			row[j] = (uint8_t)best;
		}
		spare = before;
		before = above;
		above = row;
		row = spare;
	}
	return above[b_length];
}

void
fuzzy_start(struct fuzzy_match *match, const char *given)
{
	*match = (struct fuzzy_match){ .given = given, .distance = SIZE_MAX };
}

void
fuzzy_offer(struct fuzzy_match *match, const char *candidate)
{
	char a[NAME_MAX_LENGTH], b[NAME_MAX_LENGTH];
	size_t a_length = plain(a, match->given);
	size_t b_length = plain(b, candidate);
	size_t slips;

	if (a_length == 0 || b_length == 0)
		return;
	slips = distance(a, a_length, b, b_length);
	if (slips > least(a_length, b_length) / 5 + 1)
		return;
	if (slips >= least(a_length, b_length) || slips >= match->distance)
		return;
	match->distance = slips;
	match->best = candidate;
}

bool
strings_append(struct config_strings *list, char *text)
{
	char **items = NULL;

	if (text != NULL)
		items = realloc(
		    list->items, (list->count + 1) * sizeof(*items));
	if (items == NULL) {
		free(text);
		return false;
	}
	list->items = items;
	items[list->count++] = text;
	return true;
}

struct string_map_slot {
	const char *key;
	const void *value;
};

bool
string_map_init(struct string_map *map, struct arena *arena, size_t count)
{
	size_t size = 2;

	while (size < 2 * count)
		size *= 2;
	map->mask = size - 1;
	map->slots = arena_alloc(arena, size * sizeof(*map->slots));
	return map->slots != NULL;
}

static uint64_t
hash(const char *key)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (; *key != '\0'; key++)
		sum = (sum ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
	/* The low bits choose the slot: fold the high ones into them. */
	return sum ^ sum >> 32;
}

/* The slot of the key, or the free slot where it belongs. */
static struct string_map_slot *
seek(const struct string_map *map, const char *key)
{
	size_t i = (size_t)hash(key) & map->mask;

	while (map->slots[i].key != NULL && strcmp(map->slots[i].key, key) != 0)
		i = (i + 1) & map->mask;
	return &map->slots[i];
}

const void **
string_map_at(struct string_map *map, const char *key)
{
	struct string_map_slot *slot = seek(map, key);

	slot->key = key;
	return &slot->value;
}

const void *
string_map_find(const struct string_map *map, const char *key)
{
	return seek(map, key)->value;
}
