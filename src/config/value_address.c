/*
 * Addresses to accept on, and backends.  A backend's name is split here and
 * never looked up: reading a configuration must not wait for a name server.
 * Any thread.
 */
#include <string.h>

#include "base/err.h"
#include "config/arena.h"
#include "config/file.h"
#include "config/value.h"

#define ADDRESSES_MAX 64 /* in one accept or connect list */

/* "unix:run/x" or "/run/x" as "unix:/etc/clinch/run/x"; NULL: no socket
 * path at all, or no memory. */
static const char *
place_socket(const struct value_place *place, const char *text)
{
	const char *path = text;

	if (strncmp(text, "unix:", 5) == 0)
		path = text + 5;
	if (path[0] == '\0')
		return text;
	path = file_beside(place->arena, place->where->file, path);
	if (path == NULL)
		return NULL;
	return arena_format(place->arena, "unix:%s", path);
}

static bool
is_socket(const char *text)
{
	return text[0] == '/' || strncmp(text, "unix:", 5) == 0;
}

static bool
take_accept(const struct value_place *place, const char *text, struct err *err)
{
	const struct config_accepts *list = place->field;
	struct config_accept accept = { .where = *place->where };

	if (list->count >= ADDRESSES_MAX)
		return value_too_many(ADDRESSES_MAX, err);
	if (is_socket(text))
		text = place_socket(place, text);
	else if (strncmp(text, ":::", 3) == 0) /* stunnel's [::]: */
		text = arena_format(place->arena, "[::]:%s", text + 3);
	if (text == NULL)
		return value_no_memory(err);
	if (!addr_parse(&accept.addr, &accept.any_family, text, err))
		return false;
	return value_append(place, &accept, sizeof(accept), err);
}

static bool
read_accepts(const struct value_place *place, const char *text, struct err *err)
{
	return value_each_item(place, text, take_accept, err);
}

static void
print_accepts(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	const struct config_accepts *list = field;
	char text[ADDR_TEXT_MAX];

	(void)rules;
	for (size_t i = 0; i < list->count; i++) {
		const struct addr *addr = &list->items[i].addr;

		if (addr_is_unix(addr))
			value_print_path(out, key, "unix:", addr->un.sun_path);
		else if (list->items[i].any_family)
			fprintf(out, "%s = %u\n", key, addr_port(addr));
		else
			fprintf(out, "%s = %s\n", key,
			    addr_print(addr, text, sizeof(text)));
	}
}

static bool
equal_accepts(const void *a, const void *b)
{
	const struct config_accepts *left = a, *right = b;

	if (left->count != right->count)
		return false;
	for (size_t i = 0; i < left->count; i++)
		if (left->items[i].any_family != right->items[i].any_family ||
		    !addr_equal(&left->items[i].addr, &right->items[i].addr))
			return false;
	return true;
}

static bool
split_name(struct config_connect *connect, const struct value_place *place,
    const char *text, struct err *err)
{
	char host[256];

	if (strncmp(text, "*:", 2) == 0) {
		err_set(err, "\"%s\": a backend needs a host", text);
		return false;
	}
	if (!addr_split(text, host, sizeof(host), &connect->port, err))
		return false;
	connect->host = arena_copy(place->arena, host, strlen(host));
	return connect->host != NULL || value_no_memory(err);
}

static bool
read_backend(struct config_connect *connect, const struct value_place *place,
    const char *text, struct err *err)
{
	if (is_socket(text)) {
		text = place_socket(place, text);
		return text != NULL
			   ? addr_parse(&connect->fixed, NULL, text, err)
			   : value_no_memory(err);
	}
	if (!split_name(connect, place, text, err))
		return false;
	if (connect->port == 0) {
		err_set(err, "\"%s\": a backend needs a port", text);
		return false;
	}
	/* Not numeric is no error: then it is a name, to be looked up. */
	if (!addr_parse(&connect->fixed, NULL, text, NULL))
		connect->fixed = (struct addr){ 0 };
	return true;
}

static bool
take_connect(const struct value_place *place, const char *text, struct err *err)
{
	const struct config_connects *list = place->field;
	struct config_connect connect = {
		.text = text,
		.where = *place->where,
	};

	if (list->count >= ADDRESSES_MAX)
		return value_too_many(ADDRESSES_MAX, err);
	if (!read_backend(&connect, place, text, err))
		return false;
	return value_append(place, &connect, sizeof(connect), err);
}

static bool
read_connects(
    const struct value_place *place, const char *text, struct err *err)
{
	return value_each_item(place, text, take_connect, err);
}

static void
print_connects(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	const struct config_connects *list = field;

	(void)rules;
	for (size_t i = 0; i < list->count; i++) {
		const struct config_connect *connect = &list->items[i];

		if (addr_is_unix(&connect->fixed))
			value_print_path(
			    out, key, "unix:", connect->fixed.un.sun_path);
		else
			value_print_text(out, key, connect->text);
	}
}

static bool
same_backend(const struct config_connect *a, const struct config_connect *b)
{
	if (addr_is_unix(&a->fixed) || addr_is_unix(&b->fixed))
		return addr_equal(&a->fixed, &b->fixed);
	return strcmp(a->text, b->text) == 0;
}

static bool
equal_connects(const void *a, const void *b)
{
	const struct config_connects *left = a, *right = b;

	if (left->count != right->count)
		return false;
	for (size_t i = 0; i < left->count; i++)
		if (!same_backend(&left->items[i], &right->items[i]))
			return false;
	return true;
}

const struct value_type value_accepts = {
	.name = "list of addresses",
	.list = VALUE_LIST,
	.read = read_accepts,
	.print = print_accepts,
	.equal = equal_accepts,
};

const struct value_type value_connects = {
	.name = "list of backends",
	.list = VALUE_LIST,
	.read = read_connects,
	.print = print_connects,
	.equal = equal_connects,
};
