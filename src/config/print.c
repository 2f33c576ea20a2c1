/* The schema and a configuration as text, both made from the table of keys.
 * Main thread. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/reader.h"
#include "config/schema.h"
#include "config/value.h"

static void
print_sections(FILE *out, unsigned sections)
{
	static const struct {
		unsigned section;
		const char *name;
	} names[] = {
		{ SCHEMA_GLOBAL, "global" },
		{ SCHEMA_LOG, "log" },
		{ SCHEMA_TLS, "tls" },
		{ SCHEMA_OCSP, "ocsp" },
		{ SCHEMA_ADMIN, "admin" },
		{ SCHEMA_LISTENER, "listener" },
		{ SCHEMA_HOST, "host" },
	};
	const char *comma = "";

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if ((sections & names[i].section) == 0)
			continue;
		fprintf(out, "%s%s", comma, names[i].name);
		comma = ",";
	}
}

static void
print_aliases(FILE *out, const struct schema_row *row)
{
	const char *aliases = row->aliases != NULL ? row->aliases : "";

	for (; *aliases != '\0'; aliases++)
		fputc(*aliases == ' ' ? ',' : *aliases, out);
	if (row->tls_aliases != NULL)
		fprintf(out, "%s%s", row->aliases != NULL ? "," : "",
		    row->tls_aliases);
	if (row->aliases == NULL && row->tls_aliases == NULL)
		fputc('-', out);
}

static void
print_words(FILE *out, const struct value_word *words)
{
	const struct value_word *word;

	for (word = words; word->word != NULL; word++) {
		if (word > words && word->number == word[-1].number)
			continue;
		fprintf(out, "%s%s", word > words ? "|" : "", word->word);
	}
}

static void
print_bounds(FILE *out, const struct schema_row *row)
{
	const struct value_rules *rules = &row->rules;
	char min[VALUE_DURATION_MAX], max[VALUE_DURATION_MAX];

	if (rules->words != NULL) {
		print_words(out, rules->words);
	} else if (rules->max == 0) {
		fputc('-', out);
	} else if (row->type == &value_number) {
		fprintf(out, "%" PRIu32 "-%" PRIu32, rules->min, rules->max);
	} else {
		value_format_duration(min, rules->min);
		value_format_duration(max, rules->max);
		fprintf(out, "%s-%s", min, max);
	}
	if (rules->zero != NULL)
		fprintf(out, "|%s", rules->zero);
}

static const char *
shown_default(const struct schema_row *row)
{
	if (row->shown != NULL)
		return row->shown;
	return row->initial != NULL ? row->initial : "-";
}

void
config_list_keys(FILE *out)
{
	for (enum config_key i = 0; i < KEY_COUNT; i++) {
		const struct schema_row *row = schema_row(i);

		print_sections(out, row->sections);
		fprintf(out, "\t%s\t", row->name);
		print_aliases(out, row);
		fprintf(out, "\t%s\t%s\t", row->type->name, shown_default(row));
		print_bounds(out, row);
		fprintf(out, "\t%c\t%s\n", row->needs_start ? 'S' : 'R',
		    row->meaning);
	}
}

/* A key whose default is not a single value is printed only if it is set. */
static void
print_key(FILE *out, const struct schema_row *row,
    const struct config_place *places, const void *field)
{
	if (row->only_if_set && !config_is_set(places, schema_key_of(row)))
		fprintf(out, "; %s: %s\n", row->name, row->shown);
	else
		value_print(row->type, out, row->name, field, &row->rules);
}

/* Print the keys of one section, and an empty line. */
static void
print_section(FILE *out, const struct config *config,
    const struct config_listener *listener, unsigned section)
{
	for (enum config_key i = 0; i < KEY_COUNT; i++) {
		const struct schema_row *row = schema_row(i);

		if (row->of_listener == (listener != NULL) &&
		    (row->sections & section) != 0)
			print_key(out, row,
			    listener ? listener->places : config->places,
			    schema_field_const(row, config, listener));
	}
	fputc('\n', out);
}

/* true: the key belongs to a certificate, so a host with its own certificates
 * has its own value. */
static bool
goes_with_certificate(const struct schema_row *row)
{
	return row->type == &value_paths;
}

/* Print the keys of a host that differ from its listener's. */
static void
print_host(FILE *out, const struct config_listener *host,
    const struct config_listener *listener)
{
	fprintf(out, "[host %s %s]\n", host->name, host->pattern);
	for (enum config_key i = 0; i < KEY_COUNT; i++) {
		const struct schema_row *row = schema_row(i);

		if (!row->of_listener || (row->sections & SCHEMA_HOST) == 0)
			continue;
		if (goes_with_certificate(row)
			? host->certs_own
			: !value_equal(row->type,
			      schema_field_const(row, NULL, host),
			      schema_field_const(row, NULL, listener)))
			print_key(out, row, host->places,
			    schema_field_const(row, NULL, host));
	}
	fputc('\n', out);
}

void
config_print(const struct config *config, FILE *out)
{
	static const unsigned sections[] = { SCHEMA_GLOBAL, SCHEMA_LOG,
		SCHEMA_TLS, SCHEMA_OCSP, SCHEMA_ADMIN };

	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		fprintf(out, "%s\n", schema_section_name(sections[i]));
		print_section(out, config, NULL, sections[i]);
	}
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];

		fprintf(out, "[listener %s]\n", listener->name);
		print_section(out, config, listener, SCHEMA_LISTENER);
		for (size_t k = 0; k < listener->host_count; k++)
			print_host(out, &listener->hosts[k], listener);
	}
}

char *
config_tls_policy(const struct config_listener *settings)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool written;

	if (out == NULL)
		return NULL;
	for (enum config_key i = 0; i < KEY_COUNT; i++) {
		const struct schema_row *row = schema_row(i);

		if (row->of_listener && !row->outside_tls)
			value_print(row->type, out, row->name,
			    schema_field_const(row, NULL, settings),
			    &row->rules);
	}
	written = !ferror(out);
	if (fclose(out) == 0 && written)
		return text;
	free(text);
	return NULL;
}
