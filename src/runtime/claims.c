/*
 * Certificates and their names.  Main thread.  Claims are sorted once; what
 * stands together is for one name, and the first of each kind wins.
 */
#include "runtime/claims.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/cert_slot.h"
#include "tls/sni.h"

/* A name that a certificate is for, and which one. */
struct claim {
	const char *pattern;
	const struct credential *credential;
	bool valid;   /* it has begun and has not ended */
	size_t order; /* of the credential */
};

bool
shown_put(struct shown *shown, const struct credential *credential)
{
	struct identity *identity = credential->identity;
	struct identity **place;

	if (identity == NULL)
		return true;
	place = &shown->identities[identity_kind(identity)];
	if (*place)
		return false;
	*place = identity;
	shown->in_folder |= credential->id.in_folder;
	return true;
}

static bool
is_valid(const struct claims *claims, const struct credential *credential)
{
	const struct identity *identity = credential->identity;

	return identity_not_before(identity) <= claims->now_s &&
	       claims->now_s < identity_not_after(identity);
}

static int
compare_ends(const struct claim *one, const struct claim *other)
{
	int64_t ends = identity_not_after(one->credential->identity);
	int64_t other_ends = identity_not_after(other->credential->identity);

	if (one->valid != other->valid)
		return one->valid ? -1 : 1;
	return (ends < other_ends) - (ends > other_ends);
}

static int
compare(const void *a, const void *b)
{
	const struct claim *one = a, *other = b;
	int order = strcmp(one->pattern, other->pattern);

	if (order == 0 && one->credential->id.in_folder &&
	    other->credential->id.in_folder)
		order = compare_ends(one, other);
	if (order == 0)
		order = (one->order > other->order) -
			(one->order < other->order);
	return order;
}

static struct claim *
collect(const struct claims *claims, size_t *count)
{
	const struct credential *credential;
	struct claim *list;
	size_t i, k, room = 0;

	*count = 0;
	for (i = 0; i < claims->count; i++)
		if (claims->items[i]->identity)
			room += identity_pattern_count(
			    claims->items[i]->identity);
	list = calloc(room + 1, sizeof(list[0]));
	for (i = 0; list && i < claims->count; i++) {
		credential = claims->items[i];
		if (credential->identity == NULL)
			continue;
		for (k = 0; k < identity_pattern_count(credential->identity);
		     k++)
			list[(*count)++] = (struct claim){
				identity_pattern(credential->identity, k),
				credential, is_valid(claims, credential), i
			};
	}
	return list;
}

/* Claims of one pattern stand together: they become one. */
static bool
group(struct claims *claims, const struct claim *list, size_t count)
{
	const char *pattern = "";
	size_t i;

	claims->patterns = calloc(count + 1, sizeof(claims->patterns[0]));
	claims->shown = calloc(count + 1, sizeof(claims->shown[0]));
	claims->table = sni_table_new(count);
	if (!claims->patterns || !claims->shown || !claims->table)
		return false;
	for (i = 0; i < count; i++) {
		if (strcmp(pattern, list[i].pattern) != 0) {
			pattern = list[i].pattern;
			if (!sni_table_add(
				claims->table, pattern, claims->pattern_count))
				return false;
			claims->patterns[claims->pattern_count++] = pattern;
		}
		/* A second of its kind is for nobody. */
		(void)shown_put(&claims->shown[claims->pattern_count - 1],
		    list[i].credential);
	}
	sni_table_seal(claims->table);
	return true;
}

const struct shown *
claims_find(const struct claims *claims, const char *pattern)
{
	size_t at = pattern[0] == '*' ? sni_table_exact(claims->table, pattern)
				      : sni_table_find(claims->table, pattern);

	return at == SNI_NONE ? NULL : &claims->shown[at];
}

static bool
share_a_name(const struct identity *a, const struct identity *b)
{
	size_t i, k;

	if (identity_pattern_count(a) == 0 && identity_pattern_count(b) == 0)
		return true;
	for (i = 0; i < identity_pattern_count(a); i++)
		for (k = 0; k < identity_pattern_count(b); k++)
			if (strcmp(identity_pattern(a, i),
				identity_pattern(b, k)) == 0)
				return true;
	return false;
}

/* The first that the keys name, with those of other kinds for a same name. */
static bool
choose_named(struct claims *claims)
{
	const struct identity *first = NULL;
	const struct credential *item;
	size_t i;

	for (i = 0; i < claims->named; i++) {
		item = claims->items[i];
		if (item->identity == NULL)
			continue;
		if (first == NULL)
			first = item->identity;
		if (share_a_name(first, item->identity))
			(void)shown_put(&claims->first, item);
	}
	return first != NULL;
}

/* The first of the folder, with whatever else its first name has.  valid:
 * only one that has begun and has not ended.  NULL: none. */
static const struct shown *
find_found(const struct claims *claims, bool valid)
{
	const struct credential *item;
	size_t i;

	for (i = claims->named; i < claims->count; i++) {
		item = claims->items[i];
		if (item->identity && identity_pattern_count(item->identity) &&
		    (!valid || is_valid(claims, item)))
			return claims_find(
			    claims, identity_pattern(item->identity, 0));
	}
	return NULL;
}

static void
choose_found(struct claims *claims)
{
	const struct shown *shown = find_found(claims, true);

	if (shown == NULL)
		shown = find_found(claims, false);
	if (shown)
		claims->first = *shown;
}

bool
claims_init(struct claims *claims, struct credential *const *items,
    size_t named, size_t count, int64_t now_s)
{
	struct claim *list;
	size_t list_count;
	bool fine;

	*claims = (struct claims){
		.items = items,
		.named = named,
		.count = count,
		.now_s = now_s,
	};
	list = collect(claims, &list_count);
	if (list == NULL)
		return false;
	qsort(list, list_count, sizeof(list[0]), compare);
	fine = group(claims, list, list_count);
	free(list);
	if (fine && !choose_named(claims))
		choose_found(claims);
	return fine;
}

void
claims_fini(struct claims *claims)
{
	free(claims->patterns);
	free(claims->shown);
	sni_table_free(claims->table);
	*claims = (struct claims){ 0 };
}
