/*
 * Server names.  A table is filled by one thread and then only read, so it has
 * no lock.
 *
 * A table is a sorted array, not a hash table: one name among ten thousand
 * takes about fourteen comparisons, and the array needs little more memory than
 * the names.
 */
#include "tls/sni.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_MAX = 63 }; /* RFC 1035 section 2.3.4 */

struct sni_entry {
	char *pattern;
	size_t order; /* in which it was added */
	size_t value;
};

struct sni_table {
	struct sni_entry *entries;
	size_t count;
	size_t room;
	bool sealed;
};

/* A character of a host name (RFC 1123 section 2.1) in lower case; 0: it is
 * none. */
static char
lower_case(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	    c == '_' || c == '.')
		return (char)c;
	return 0;
}

/* RFC 1035 section 2.3.4: a label has 1 to 63 bytes. */
static bool
has_sound_labels(const char *name)
{
	size_t len;

	for (; *name != '\0'; name += len + (name[len] == '.')) {
		len = strcspn(name, ".");
		if (len == 0 || len > LABEL_MAX)
			return false;
	}
	return true;
}

/* RFC 6066 section 3: literal addresses are no host names.  An IPv6 address is
 * refused for its colons before. */
static bool
is_address(const char *name)
{
	struct in_addr ignored;

	return inet_pton(AF_INET, name, &ignored) == 1;
}

bool
sni_normalise(char out[SNI_NAME_MAX + 1], const uint8_t *name, size_t len)
{
	size_t i;

	/* RFC 6066 section 3: without the trailing dot.  Some clients send it;
	 * it is the same name. */
	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len == 0 || len > SNI_NAME_MAX || name[len - 1] == '.')
		return false;
	for (i = 0; i < len; i++) {
		out[i] = lower_case(name[i]);
		if (out[i] == 0)
			return false;
	}
	out[len] = '\0';
	return has_sound_labels(out) && !is_address(out);
}

bool
sni_normalise_pattern(char out[SNI_NAME_MAX + 1], const char *pattern)
{
	char name[SNI_NAME_MAX + 1];
	bool wild = strncmp(pattern, "*.", 2) == 0;
	size_t len;

	if (wild)
		pattern += 2;
	if (!sni_normalise(name, (const uint8_t *)pattern, strlen(pattern)))
		return false;
	len = strlen(name) + 1;
	if (wild && len + 2 > SNI_NAME_MAX + 1)
		return false;
	memcpy(out, "*.", 2);
	memcpy(wild ? out + 2 : out, name, len);
	return true;
}

struct sni_table *
sni_table_new(size_t room)
{
	struct sni_table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	table->room = room;
	table->entries = calloc(room > 0 ? room : 1, sizeof(struct sni_entry));
	if (table->entries != NULL)
		return table;
	free(table);
	return NULL;
}

void
sni_table_free(struct sni_table *table)
{
	size_t i;

	if (table == NULL)
		return;
	for (i = 0; i < table->count; i++)
		free(table->entries[i].pattern);
	free(table->entries);
	free(table);
}

bool
sni_table_add(struct sni_table *table, const char *pattern, size_t value)
{
	struct sni_entry *entry = &table->entries[table->count];

	assert(!table->sealed && table->count < table->room);
	entry->pattern = strdup(pattern);
	if (entry->pattern == NULL)
		return false;
	entry->order = table->count++;
	entry->value = value;
	return true;
}

static int
compare(const void *one, const void *other)
{
	const struct sni_entry *a = one, *b = other;
	int order = strcmp(a->pattern, b->pattern);

	if (order != 0)
		return order;
	return a->order < b->order ? -1 : 1;
}

/* Of equal entries the first one stays. */
static void
drop_duplicates(struct sni_table *table)
{
	struct sni_entry *entries = table->entries;
	size_t i, kept = 0;

	for (i = 0; i < table->count; i++)
		if (kept > 0 &&
		    strcmp(entries[kept - 1].pattern, entries[i].pattern) == 0)
			free(entries[i].pattern);
		else
			entries[kept++] = entries[i];
	table->count = kept;
}

void
sni_table_seal(struct sni_table *table)
{
	qsort(table->entries, table->count, sizeof(struct sni_entry), compare);
	drop_duplicates(table);
	table->sealed = true;
}

size_t
sni_table_exact(const struct sni_table *table, const char *pattern)
{
	size_t low = 0, high = table->count, middle;
	int order;

	assert(table->sealed);
	while (low < high) {
		middle = low + (high - low) / 2;
		order = strcmp(pattern, table->entries[middle].pattern);
		if (order == 0)
			return table->entries[middle].value;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return SNI_NONE;
}

size_t
sni_table_find(const struct sni_table *table, const char *name)
{
	char wildcard[SNI_NAME_MAX + 2] = "*";
	const char *rest = strchr(name, '.');
	size_t value = sni_table_exact(table, name);

	if (value != SNI_NONE || rest == NULL)
		return value;
	/* RFC 6125 section 6.4.3: only the leftmost label is a wildcard. */
	assert(strlen(rest) <= SNI_NAME_MAX);
	memcpy(wildcard + 1, rest, strlen(rest) + 1);
	return sni_table_exact(table, wildcard);
}
