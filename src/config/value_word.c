/*
 * Booleans and words that stand for a number.  Enumerations are written as
 * int, through one reader for all of them: the compiler gives every enum of
 * config.h that size, and the build fails where it does not.  Any thread.
 */
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "config/strings.h"
#include "config/value.h"

_Static_assert(sizeof(enum config_tls_version) == sizeof(int) &&
		   sizeof(enum config_ocsp_mode) == sizeof(int) &&
		   sizeof(enum log_level) == sizeof(int),
    "enumerations are read and written as int");

static const struct value_word boolean_words[] = {
	{ "yes", 1 },
	{ "no", 0 },
	{ "on", 1 },
	{ "off", 0 },
	{ "true", 1 },
	{ "false", 0 },
	{ "1", 1 },
	{ "0", 0 },
	{ NULL, 0 },
};

static const struct value_word *
find_word(const struct value_word *words, const char *text)
{
	for (; words->word != NULL; words++)
		if (strcasecmp(words->word, text) == 0)
			return words;
	return NULL;
}

static bool
read_boolean(const struct value_place *place, const char *text, struct err *err)
{
	const struct value_word *word = find_word(boolean_words, text);

	if (word == NULL) {
		err_set(err, "\"%.64s\" is neither yes nor no", text);
		return false;
	}
	*(bool *)place->field = word->number != 0;
	return true;
}

static void
print_boolean(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	(void)rules;
	fprintf(out, "%s = %s\n", key, *(const bool *)field ? "yes" : "no");
}

static bool
equal_boolean(const void *a, const void *b)
{
	return *(const bool *)a == *(const bool *)b;
}

/* "a, b or c", each number once, by its first word. */
static void
list_words(char *out, size_t size, const struct value_word *words)
{
	size_t used = 0;

	out[0] = '\0';
	for (const struct value_word *word = words; word->word != NULL;
	     word++) {
		if (word > words && word->number == word[-1].number)
			continue;
		used += (size_t)snprintf(out + used, size - used, "%s%s",
		    used > 0 ? ", " : "", word->word);
		if (used >= size)
			return;
	}
}

static bool
read_choice(const struct value_place *place, const char *text, struct err *err)
{
	const struct value_word *words = place->rules->words;
	const struct value_word *word = find_word(words, text);
	char known[128];
	struct fuzzy_match match;

	if (word != NULL) {
		*(int *)place->field = word->number;
		return true;
	}
	fuzzy_start(&match, text);
	for (word = words; word->word != NULL; word++)
		fuzzy_offer(&match, word->word);
	list_words(known, sizeof(known), words);
	if (match.best != NULL)
		err_set(err, "\"%.64s\" is unknown: did you mean \"%s\"?", text,
		    match.best);
	else
		err_set(err, "\"%.64s\" is not one of: %s", text, known);
	return false;
}

static bool
equal_int(const void *a, const void *b)
{
	return *(const int *)a == *(const int *)b;
}

static void
print_choice(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	for (const struct value_word *word = rules->words; word->word != NULL;
	     word++) {
		if (word->number == *(const int *)field) {
			fprintf(out, "%s = %s\n", key, word->word);
			return;
		}
	}
}

/* stunnel writes the facility of syslog in front: "daemon.info". */
static bool
read_level(const struct value_place *place, const char *text, struct err *err)
{
	const char *dot = strchr(text, '.');

	return read_choice(place, dot != NULL ? dot + 1 : text, err);
}

static bool
read_version(const struct value_place *place, const char *text, struct err *err)
{
	static const char old[] = "SSLv2 SSLv3 TLSv1 TLSv1.0 TLSv1.1 TLS1 "
				  "TLS1.0 TLS1.1 1.0 1.1";

	if (fuzzy_in(old, text)) {
		err_set(err,
		    "%s is not offered, as it is not secure: use TLSv1.2 or "
		    "TLSv1.3",
		    text);
		return false;
	}
	return read_choice(place, text, err);
}

/* stunnel's OCSP names a responder. */
static bool
read_stapling(
    const struct value_place *place, const char *text, struct err *err)
{
	if (strstr(text, "://") != NULL) {
		err_set(err,
		    "\"%.64s\" is no mode: stunnel asks that responder about "
		    "client certificates, which crl_file is for here; those "
		    "for stapling are named by url in [ocsp]",
		    text);
		return false;
	}
	return read_choice(place, text, err);
}

static bool
read_switch(const struct value_place *place, const char *text, struct err *err)
{
	const struct value_word *word = find_word(place->rules->words, text);

	if (word == NULL) {
		err_set(err,
		    "\"%.64s\" is neither yes nor no: use mode, url and the "
		    "like in [ocsp]",
		    text);
		return false;
	}
	*(int *)place->field = word->number;
	return true;
}

/* One word is one bit, "none" is none. */
static bool
take_bit(const struct value_place *place, const char *text, struct err *err)
{
	unsigned *mask = place->field;
	int bit = 0;
	struct value_place one = {
		.rules = place->rules,
		.field = &bit,
	};

	if (!read_choice(&one, text, err))
		return false;
	*mask |= (unsigned)bit;
	return true;
}

static bool
read_bits(const struct value_place *place, const char *text, struct err *err)
{
	return value_each_item(place, text, take_bit, err);
}

static void
print_bits(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	unsigned mask = *(const unsigned *)field;
	const struct value_word *word;
	const char *comma = "";

	fprintf(out, "%s = ", key);
	for (word = rules->words; word->word != NULL; word++) {
		if (mask != 0 ? ((unsigned)word->number & mask) == 0
			      : word->number != 0)
			continue;
		fprintf(out, "%s%s", comma, word->word);
		comma = ", ";
	}
	fputc('\n', out);
}

static bool
equal_bits(const void *a, const void *b)
{
	return *(const unsigned *)a == *(const unsigned *)b;
}

/* The key whose field this is as well says more. */
static void
print_nothing(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	(void)out;
	(void)key;
	(void)field;
	(void)rules;
}

const struct value_type value_boolean = {
	.name = "boolean",
	.read = read_boolean,
	.print = print_boolean,
	.equal = equal_boolean,
};

const struct value_type value_choice = {
	.name = "word",
	.read = read_choice,
	.print = print_choice,
	.equal = equal_int,
};

const struct value_type value_level = {
	.name = "word",
	.read = read_level,
	.print = print_choice,
	.equal = equal_int,
};

const struct value_type value_version = {
	.name = "word",
	.read = read_version,
	.print = print_choice,
	.equal = equal_int,
};

const struct value_type value_stapling = {
	.name = "word",
	.read = read_stapling,
	.print = print_choice,
	.equal = equal_int,
};

const struct value_type value_switch = {
	.name = "boolean",
	.read = read_switch,
	.print = print_nothing,
	.equal = equal_int,
};

const struct value_type value_tlvs = {
	.name = "list of words",
	.list = sizeof(unsigned),
	.read = read_bits,
	.print = print_bits,
	.equal = equal_bits,
};
