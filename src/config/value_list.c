/*
 * Lists: what all of them share, address ranges and protocol names.  A value
 * may hold several items between commas and a key may stand several times;
 * either way items are appended, and whoever starts a new list over a
 * default empties the field first.  Any thread.
 */
#include <string.h>

#include "base/err.h"
#include "config/arena.h"
#include "config/value.h"

#define RANGES_MAX 65536
#define STRINGS_MAX 64
#define ALPN_MAX 255 /* RFC 7301 §3.1: one length byte */

/* A list is emptied, and appended to, without knowing of what it is. */
_Static_assert(
    sizeof(struct config_cidrs) == sizeof(struct config_strings) &&
	sizeof(struct config_paths) == sizeof(struct config_strings) &&
	sizeof(struct config_accepts) == sizeof(struct config_strings) &&
	sizeof(struct config_connects) == sizeof(struct config_strings),
    "lists are all a pointer and a count");

bool
value_no_memory(struct err *err)
{
	err_set(err, "not enough memory");
	return false;
}

bool
value_too_many(unsigned max, struct err *err)
{
	err_set(err, "there are more than %u items in the list", max);
	return false;
}

bool
value_append(const struct value_place *place, const void *item, size_t size,
    struct err *err)
{
	struct {
		void *items;
		size_t count;
	} list;
	uint8_t *items;

	memcpy(&list, place->field, sizeof(list));
	items = arena_grow(place->arena, list.items, list.count, size);
	if (items == NULL)
		return value_no_memory(err);
	memcpy(items + list.count * size, item, size);
	list.items = items;
	list.count++;
	memcpy(place->field, &list, sizeof(list));
	return true;
}

bool
value_each_item(const struct value_place *place, const char *text,
    value_read_fn *take, struct err *err)
{
	for (;;) {
		size_t length = strcspn(text, ",");
		const char *next = text + length;
		char *item;

		while (length > 0 && strchr(" \t", *text) != NULL) {
			text++;
			length--;
		}
		while (length > 0 && strchr(" \t", text[length - 1]) != NULL)
			length--;
		if (length == 0) {
			err_set(err, "there is an empty item in the list");
			return false;
		}
		item = arena_copy(place->arena, text, length);
		if (item == NULL)
			return value_no_memory(err);
		if (!take(place, item, err))
			return false;
		if (*next == '\0')
			return true;
		text = next + 1;
	}
}

static bool
take_string(const struct value_place *place, const char *text, struct err *err)
{
	const struct config_strings *list = place->field;
	char *copy;

	if (strlen(text) > ALPN_MAX || list->count >= STRINGS_MAX) {
		err_set(err, "at most %d names of at most %d bytes each",
		    STRINGS_MAX, ALPN_MAX);
		return false;
	}
	copy = arena_copy(place->arena, text, strlen(text));
	if (copy == NULL)
		return value_no_memory(err);
	return value_append(place, &copy, sizeof(copy), err);
}

static bool
read_strings(const struct value_place *place, const char *text, struct err *err)
{
	return value_each_item(place, text, take_string, err);
}

void
value_print_strings(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	const struct config_strings *list = field;

	(void)rules;
	for (size_t i = 0; i < list->count; i++)
		value_print_text(out, key, list->items[i]);
}

bool
value_equal_strings(const void *a, const void *b)
{
	const struct config_strings *left = a, *right = b;

	if (left->count != right->count)
		return false;
	for (size_t i = 0; i < left->count; i++)
		if (strcmp(left->items[i], right->items[i]) != 0)
			return false;
	return true;
}

static bool
take_cidr(const struct value_place *place, const char *text, struct err *err)
{
	const struct config_cidrs *list = place->field;
	struct cidr cidr;

	if (!cidr_parse(&cidr, text, err))
		return false;
	if (list->count >= RANGES_MAX)
		return value_too_many(RANGES_MAX, err);
	return value_append(place, &cidr, sizeof(cidr), err);
}

static bool
read_cidrs(const struct value_place *place, const char *text, struct err *err)
{
	return value_each_item(place, text, take_cidr, err);
}

static void
print_cidrs(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	const struct config_cidrs *list = field;
	char host[ADDR_TEXT_MAX];

	(void)rules;
	for (size_t i = 0; i < list->count; i++)
		fprintf(out, "%s = %s/%u\n", key,
		    addr_print_host(&list->items[i].net, host, sizeof(host)),
		    list->items[i].prefix);
}

static bool
equal_cidrs(const void *a, const void *b)
{
	const struct config_cidrs *left = a, *right = b;

	if (left->count != right->count)
		return false;
	for (size_t i = 0; i < left->count; i++)
		if (left->items[i].prefix != right->items[i].prefix ||
		    !addr_equal(&left->items[i].net, &right->items[i].net))
			return false;
	return true;
}

const struct value_type value_strings = {
	.name = "list of names",
	.list = VALUE_LIST,
	.read = read_strings,
	.print = value_print_strings,
	.equal = value_equal_strings,
};

const struct value_type value_cidrs = {
	.name = "list of ranges",
	.list = VALUE_LIST,
	.read = read_cidrs,
	.print = print_cidrs,
	.equal = equal_cidrs,
};
