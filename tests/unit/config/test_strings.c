/*
 * Host and client name patterns, names compared without case and dashes, and
 * the map from strings.
 */
#include "config/strings.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "config/arena.h"

#define L63 "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc"

Test(pattern, is_put_into_one_form)
{
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "a name", "www.example.org", "www.example.org" },
		{ "capitals", "WWW.Example.ORG", "www.example.org" },
		{ "a last dot", "a.b.", "a.b" },
		{ "a wildcard", "*.Example.org.", "*.example.org" },
		{ "one label", "localhost", "localhost" },
		{ "an A-label", "xn--bcher-kva.example",
		    "xn--bcher-kva.example" },
		{ "an underscore", "_a.b", "_a.b" },
		{ "nearly an address", "1.2.3.4.example", "1.2.3.4.example" },
		{ "the longest label", L63 ".x", L63 ".x" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[PATTERN_NAME_MAX + 1] = "";
		struct err err = { "" };

		cr_expect(pattern_normalise(out, rows[i].given, &err), "%s: %s",
		    rows[i].what, err.text);
		cr_expect_str_eq(out, rows[i].expect, "%s", rows[i].what);
	}
}

Test(pattern, is_refused_if_no_client_can_send_it)
{
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "nothing", "", "nothing between" },
		{ "a dot", ".", "nothing between" },
		{ "an empty label", "a..b", "nothing between" },
		{ "two last dots", "a..", "nothing between" },
		{ "a dot in front", ".a", "nothing between" },
		{ "everything", "*", "a * alone" },
		{ "a wildcard of nothing", "*.", "a *" },
		{ "a star within", "a*.b", "a * stands for" },
		{ "a star behind", "a.*", "a * stands for" },
		{ "two stars", "*.*.b", "a * stands for" },
		{ "IPv4", "192.0.2.1", "an address" },
		{ "IPv6", "2001:db8::1", "an address" },
		{ "IPv6 in brackets", "[::1]", "an address" },
		{ "a port", "a.b:443", "an address" },
		{ "not ASCII", "b\303\274cher.example", "A-label" },
		{ "a blank", "a b", "cannot contain ' '" },
		{ "a path", "a/b", "cannot contain '/'" },
		{ "too long a label", "x" L63, "63 bytes" },
		{ "too long a name", L63 "." L63 "." L63 "." L63, "253 bytes" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[PATTERN_NAME_MAX + 1];
		struct err err = { "" };

		cr_expect_not(pattern_normalise(out, rows[i].given, &err), "%s",
		    rows[i].what);
		cr_expect_not_null(strstr(err.text, rows[i].expect), "%s: %s",
		    rows[i].what, err.text);
	}
}

Test(pattern, may_have_253_bytes_and_a_dot)
{
	char given[PATTERN_NAME_MAX + 2];
	char out[PATTERN_NAME_MAX + 1];
	struct err err;

	snprintf(given, sizeof(given), "%s.%s.%s.%.61s.", L63, L63, L63, L63);
	cr_assert_eq(strlen(given), PATTERN_NAME_MAX + 1);
	cr_expect(pattern_normalise(out, given, &err));
	cr_expect_eq(strlen(out), PATTERN_NAME_MAX);
}

Test(pattern, of_a_client_fits_its_kind)
{
	static const struct {
		const char *given;
		bool expect;
	} rows[] = {
		{ "a.example", true },
		{ "DNS:*.a.example", true },
		{ "dns:", false },
		{ "dns:a.*", false },
		{ "10.0.0.1", false },
		{ "email:a@b", true },
		{ "email:*@b.example", true },
		{ "email:a", false },
		{ "email:@b", false },
		{ "email:a@", false },
		{ "email:a*@b", false },
		{ "email:*@*.b", false },
		{ "uri:spiffe://a/b", true },
		{ "uri:spiffe://a/*", true },
		{ "uri:spiffe://*/b", false },
		{ "uri:https://a.example*", false },
		{ "uri:https://*", false },
		{ "uri:urn:x:*", true },
		{ "uri:ab", false },
		{ "uri:spiffe://a/ns/*/sa/b", true },
		{ "uri:spiffe://a/*/sa/*", true },
		{ "uri:spiffe://a/ns/w-*", true },
		{ "uri:spiffe://a/**", true },
		{ "uri:spiffe://a/*/b/**", true },
		{ "uri:spiffe://a/ns/w-*/b", false },
		{ "uri:spiffe://a/*b", false },
		{ "uri:spiffe://a/**/b", false },
		{ "uri:spiffe://a/b**", false },
		{ "uri:spiffe://a/***", false },
		{ "uri:spiffe://**", false },
		{ "uri:*://a/b", false },
		{ "ip:10.0.0.1", true },
		{ "ip:2001:db8::/32", true },
		{ "ip:10.0.0.0/33", false },
		{ "ip:a.example", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = { "" };

		cr_expect_eq(pattern_check_san(rows[i].given, &err),
		    rows[i].expect, "%s: %s", rows[i].given, err.text);
		cr_expect_eq(
		    err.text[0] == '\0', rows[i].expect, "%s", rows[i].given);
	}
}

Test(fuzzy, is_blind_to_case_and_dashes)
{
	cr_expect(fuzzy_same("A-b_C", "abc"));
	cr_expect(fuzzy_same("abc-", "abc"));
	cr_expect_not(fuzzy_same("abc", "abd"));
	cr_expect_not(fuzzy_same("abc", "ab"));
	cr_expect(fuzzy_in("one two-x three", "TWOX"));
	cr_expect_not(fuzzy_in("one two", "tw"));
	cr_expect_not(fuzzy_in(NULL, "one"));
}

#define KEYS 1000

Test(string_map, finds_what_was_set_and_nothing_else)
{
	struct arena *arena = arena_new();
	struct string_map map;
	int one, two;

	cr_assert_not_null(arena);
	cr_assert(string_map_init(&map, arena, 2));
	*string_map_at(&map, "a") = &one;
	*string_map_at(&map, "") = &two;
	cr_expect_eq(string_map_find(&map, "a"), &one);
	cr_expect_eq(string_map_find(&map, ""), &two);
	cr_expect_null(string_map_find(&map, "b"));
	arena_free(arena);
}

Test(string_map, takes_a_key_by_its_text)
{
	struct arena *arena = arena_new();
	struct string_map map;
	char same[] = "a.example";
	int one;

	cr_assert_not_null(arena);
	cr_assert(string_map_init(&map, arena, 1));
	cr_expect_null(*string_map_at(&map, "a.example"));
	*string_map_at(&map, same) = &one;
	cr_expect_eq(string_map_find(&map, "a.example"), &one);
	arena_free(arena);
}

Test(string_map, stores_as_many_keys_as_promised)
{
	struct arena *arena = arena_new();
	static char keys[KEYS][8];
	struct string_map map;

	cr_assert_not_null(arena);
	cr_assert(string_map_init(&map, arena, KEYS));
	for (size_t i = 0; i < KEYS; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
		*string_map_at(&map, keys[i]) = keys[i];
	}
	for (size_t i = 0; i < KEYS; i++)
		cr_expect_eq(
		    string_map_find(&map, keys[i]), keys[i], "%s", keys[i]);
	cr_expect_null(string_map_find(&map, "k1000"));
	arena_free(arena);
}

Test(string_map, without_room_finds_nothing)
{
	struct arena *arena = arena_new();
	struct string_map map;

	cr_assert_not_null(arena);
	cr_assert(string_map_init(&map, arena, 0));
	cr_expect_null(string_map_find(&map, "a"));
	arena_free(arena);
}
