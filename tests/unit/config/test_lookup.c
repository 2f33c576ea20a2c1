/*
 * Texts to pointers: found again, one from another, up to the promised room.
 */
#include "config/lookup.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "config/arena.h"

#define KEYS 1000

Test(lookup, keeps_what_was_set_and_nothing_else)
{
	struct arena *arena = arena_new();
	struct lookup lookup;
	int one, two;

	cr_assert_not_null(arena);
	cr_assert(lookup_init(&lookup, arena, 2));
	*lookup_at(&lookup, "a") = &one;
	*lookup_at(&lookup, "") = &two;
	cr_expect_eq(lookup_find(&lookup, "a"), &one);
	cr_expect_eq(lookup_find(&lookup, ""), &two);
	cr_expect_null(lookup_find(&lookup, "b"));
	arena_free(arena);
}

Test(lookup, takes_a_key_by_its_text)
{
	struct arena *arena = arena_new();
	struct lookup lookup;
	char same[] = "a.example";
	int one;

	cr_assert_not_null(arena);
	cr_assert(lookup_init(&lookup, arena, 1));
	cr_expect_null(*lookup_at(&lookup, "a.example"));
	*lookup_at(&lookup, same) = &one;
	cr_expect_eq(lookup_find(&lookup, "a.example"), &one);
	arena_free(arena);
}

Test(lookup, holds_as_many_as_there_is_room_for)
{
	struct arena *arena = arena_new();
	static char keys[KEYS][8];
	struct lookup lookup;

	cr_assert_not_null(arena);
	cr_assert(lookup_init(&lookup, arena, KEYS));
	for (size_t i = 0; i < KEYS; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
		*lookup_at(&lookup, keys[i]) = keys[i];
	}
	for (size_t i = 0; i < KEYS; i++)
		cr_expect_eq(
		    lookup_find(&lookup, keys[i]), keys[i], "%s", keys[i]);
	cr_expect_null(lookup_find(&lookup, "k1000"));
	arena_free(arena);
}

Test(lookup, without_room_knows_nothing)
{
	struct arena *arena = arena_new();
	struct lookup lookup;

	cr_assert_not_null(arena);
	cr_assert(lookup_init(&lookup, arena, 0));
	cr_expect_null(lookup_find(&lookup, "a"));
	arena_free(arena);
}
