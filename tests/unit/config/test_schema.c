/*
 * The table of keys, and finding a key by its spellings.
 */
#include "config/schema.h"

#include <criterion/criterion.h>
#include <string.h>

Test(schema, finds_a_key_by_any_spelling)
{
	static const struct {
		const char *what, *given;
		enum schema_section section;
		const char *expect;
	} rows[] = {
		{ "its name", "timeout_idle", SCHEMA_LISTENER, "timeout_idle" },
		{ "dashes", "timeout-idle", SCHEMA_LISTENER, "timeout_idle" },
		{ "neither", "TIMEOUTidle", SCHEMA_LISTENER, "timeout_idle" },
		{ "an alias", "curves", SCHEMA_TLS, "groups" },
		{ "the second alias", "curve", SCHEMA_TLS, "groups" },
		{ "before any section", "pid", SCHEMA_TOP, "pid" },
		{ "NATS's word", "urls", SCHEMA_OCSP, "url" },
		{ "of [ocsp], before any section", "url", SCHEMA_TOP, "url" },
		{ "ambiguous before any section", "timeout", SCHEMA_TOP, NULL },
		{ "in its section", "ca_file", SCHEMA_OCSP, "ca_file" },
		{ "a host's", "connect", SCHEMA_HOST, "connect" },
		{ "not a host's", "accept", SCHEMA_HOST, NULL },
		{ "not a host's, but [tls]'s", "tickets", SCHEMA_HOST, NULL },
		{ "write-proxy", "write-proxy", SCHEMA_HOST, "proxy_out" },
		{ "an alias of [tls]", "timeout", SCHEMA_TLS,
		    "timeout_handshake" },
		{ "but of [tls] alone", "timeout", SCHEMA_LISTENER, NULL },
		{ "another section's", "threads", SCHEMA_LOG, NULL },
		{ "a part of a name", "timeout_idl", SCHEMA_TLS, NULL },
		{ "nothing", "", SCHEMA_TOP, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct schema_row *row = schema_find(
		    rows[i].section, rows[i].given);

		cr_expect(value_same_text(
			      row != NULL ? row->name : NULL, rows[i].expect),
		    "%s", rows[i].what);
	}
}

Test(schema, prefers_the_process_before_any_section)
{
	static const char *const keys[] = { "max_connections", "ocsp" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const struct schema_row *row = schema_find(SCHEMA_TOP, keys[i]);

		cr_assert_not_null(row, "%s", keys[i]);
		cr_expect_eq(row->sections, SCHEMA_GLOBAL, "%s", keys[i]);
	}
}

Test(schema, suggests_the_nearest_key_and_nothing_far)
{
	static const struct {
		const char *given, *expect;
	} rows[] = {
		{ "acecpt", "accept" },
		{ "conect", "connect" },
		{ "certt", "cert" },
		{ "min_verison", "min_version" },
		{ "TIMEOUTidel", "timeout_idle" },
		{ "cruves", "groups" },
		{ "frobnicate", NULL },
		{ "x", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(value_same_text(
			      schema_nearest(SCHEMA_LISTENER, rows[i].given),
			      rows[i].expect),
		    "%s", rows[i].given);
}

Test(schema, gives_every_spelling_to_one_key_in_a_section)
{
	static const enum schema_section sections[] = { SCHEMA_GLOBAL,
		SCHEMA_LOG, SCHEMA_TLS, SCHEMA_LISTENER, SCHEMA_OCSP,
		SCHEMA_HOST };

	for (size_t s = 0; s < ARRAY_LEN(sections); s++)
		for (enum config_key i = 0; i < KEY_COUNT; i++) {
			const struct schema_row *row = schema_row(i);

			if ((row->sections & sections[s]) == 0)
				continue;
			cr_expect_eq(schema_find(sections[s], row->name), row,
			    "%s", row->name);
		}
}

Test(schema, has_every_field_of_every_key)
{
	for (enum config_key i = 0; i < KEY_COUNT; i++) {
		const struct schema_row *row = schema_row(i);

		cr_expect_not_null(row->meaning, "%s", row->name);
		cr_expect_not_null(row->type, "%s", row->name);
		cr_expect_neq(row->sections, 0, "%s", row->name);
		cr_expect_eq(schema_key_of(row), i, "%s", row->name);
		/* Only keys of the process cannot be reloaded. */
		cr_expect(
		    !row->needs_start || !row->of_listener, "%s", row->name);
	}
}
