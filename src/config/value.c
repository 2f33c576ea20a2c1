/*
 * Numbers, durations and modes.  Each reader checks its bounds itself, so
 * that no caller can forget to, and writes the field only when the text is
 * good.  Any thread.
 */
#include "config/value.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "config/strings.h"

/* Digits at the start of text; *end is set behind them.  false: none, or
 * more than any value here may have. */
static bool
read_digits(uint64_t *number, const char *text, const char **end)
{
	*number = 0;
	for (*end = text; isdigit((unsigned char)**end); ++*end) {
		if (*number > UINT64_C(1) << 40)
			return false;
		*number = *number * 10 + (uint64_t)(**end - '0');
	}
	return *end != text;
}

static bool
read_count(uint64_t *number, const char *text)
{
	static const char units[] = "kmg";
	const char *end, *unit;

	if (!read_digits(number, text, &end))
		return false;
	if (*end == '\0')
		return true;
	unit = strchr(units, tolower((unsigned char)*end));
	if (unit == NULL || end[1] != '\0')
		return false;
	*number <<= 10 * (unit - units + 1);
	return true;
}

static bool
is_zero_word(const struct value_rules *rules, const char *text)
{
	return rules->zero != NULL && strcasecmp(rules->zero, text) == 0;
}

static bool
read_number(const struct value_place *place, const char *text, struct err *err)
{
	const struct value_rules *rules = place->rules;
	uint64_t number = 0;

	if (is_zero_word(rules, text)) {
		*(uint32_t *)place->field = 0;
		return true;
	}
	if (!read_count(&number, text) || number < rules->min ||
	    number > rules->max) {
		err_set(err,
		    "\"%.64s\" is not a number from %" PRIu32 " to %" PRIu32
		    "%s%s",
		    text, rules->min, rules->max,
		    rules->zero != NULL ? " or " : "",
		    rules->zero != NULL ? rules->zero : "");
		return false;
	}
	*(uint32_t *)place->field = (uint32_t)number;
	return true;
}

static void
print_number(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	uint32_t number = *(const uint32_t *)field;

	if (number == 0 && rules->zero != NULL)
		fprintf(out, "%s = %s\n", key, rules->zero);
	else
		fprintf(out, "%s = %" PRIu32 "\n", key, number);
}

static bool
equal_number(const void *a, const void *b)
{
	return *(const uint32_t *)a == *(const uint32_t *)b;
}

struct unit {
	const char *name;
	uint32_t ms;
};

static const struct unit units[] = {
	{ "d", 86400000 },
	{ "h", 3600000 },
	{ "m", 60000 },
	{ "s", 1000 },
	{ "ms", 1 },
};

bool
value_read_duration(uint32_t *ms, const char *text, struct err *err)
{
	const char *end;
	uint64_t number;
	uint64_t scale = 0;

	if (read_digits(&number, text, &end)) {
		end += strspn(end, " \t");
		if (*end == '\0')
			scale = 1000;
		for (size_t i = 0; i < ARRAY_LEN(units); i++)
			if (strcasecmp(end, units[i].name) == 0)
				scale = units[i].ms;
	}
	if (scale == 0) {
		err_set(err,
		    "\"%.64s\" is not a duration such as 10s, 500ms, 5m, 2h "
		    "or 1d",
		    text);
		return false;
	}
	if (number > UINT32_MAX / scale) {
		err_set(err, "\"%.64s\" is too long a time", text);
		return false;
	}
	*ms = (uint32_t)(number * scale);
	return true;
}

void
value_format_duration(char out[VALUE_DURATION_MAX], uint32_t ms)
{
	size_t i = 0;

	if (ms == 0) {
		snprintf(out, VALUE_DURATION_MAX, "0s");
		return;
	}
	while (ms % units[i].ms != 0)
		i++;
	snprintf(out, VALUE_DURATION_MAX, "%" PRIu32 "%s", ms / units[i].ms,
	    units[i].name);
}

/* A time that cannot be switched off, or that 0 switches off. */
static void
refuse_off(const struct value_rules *rules, const char *text, struct err *err)
{
	char max[VALUE_DURATION_MAX];

	value_format_duration(max, rules->max);
	if (rules->zero != NULL)
		err_set(err,
		    "\"%.64s\" is not a duration: did you mean \"%s\"?", text,
		    rules->zero);
	else if (rules->min == 0)
		err_set(err,
		    "\"%.64s\" is not a duration: 0 does not wait, and %s is "
		    "the longest",
		    text, max);
	else
		err_set(err,
		    "\"%.64s\" is not a duration: this time has no off, and "
		    "%s is the longest",
		    text, max);
}

static bool
read_duration(
    const struct value_place *place, const char *text, struct err *err)
{
	const struct value_rules *rules = place->rules;
	char min[VALUE_DURATION_MAX], max[VALUE_DURATION_MAX];
	uint32_t ms = 0;

	if (is_zero_word(rules, text)) {
		*(uint32_t *)place->field = 0;
		return true;
	}
	if (fuzzy_in("off no none never unlimited infinite", text)) {
		refuse_off(rules, text, err);
		return false;
	}
	if (!value_read_duration(&ms, text, err))
		return false;
	if ((ms < rules->min && (ms > 0 || rules->zero == NULL)) ||
	    ms > rules->max) {
		value_format_duration(min, rules->min);
		value_format_duration(max, rules->max);
		err_set(err, "\"%.64s\" is not from %s to %s%s%s", text, min,
		    max, rules->zero != NULL ? " or " : "",
		    rules->zero != NULL ? rules->zero : "");
		return false;
	}
	*(uint32_t *)place->field = ms;
	return true;
}

static void
print_duration(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	uint32_t ms = *(const uint32_t *)field;
	char text[VALUE_DURATION_MAX];

	value_format_duration(text, ms);
	fprintf(out, "%s = %s\n", key,
	    ms == 0 && rules->zero != NULL ? rules->zero : text);
}

static bool
read_mode(const struct value_place *place, const char *text, struct err *err)
{
	unsigned mode = 0;

	for (const char *at = text; *at != '\0'; at++) {
		if (*at < '0' || *at > '7' || mode > 0777) {
			mode = 01000;
			break;
		}
		mode = mode * 8 + (unsigned)(*at - '0');
	}
	if (mode > 0777) {
		err_set(err, "\"%.64s\" is not a file mode from 0000 to 0777",
		    text);
		return false;
	}
	*(unsigned *)place->field = mode;
	return true;
}

static void
print_mode(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	(void)rules;
	fprintf(out, "%s = %04o\n", key, *(const unsigned *)field);
}

static bool
equal_mode(const void *a, const void *b)
{
	return *(const unsigned *)a == *(const unsigned *)b;
}

const struct value_type value_number = {
	.name = "number",
	.read = read_number,
	.print = print_number,
	.equal = equal_number,
};

const struct value_type value_duration = {
	.name = "duration",
	.read = read_duration,
	.print = print_duration,
	.equal = equal_number,
};

const struct value_type value_mode = {
	.name = "mode",
	.read = read_mode,
	.print = print_mode,
	.equal = equal_mode,
};
