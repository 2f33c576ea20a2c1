/*
 * Splits a file into headings and key = value pairs, by way of inih.  Any
 * thread.
 *
 * Lines are split here: inih gives its handler no line number, cuts long lines
 * and section names, treats an indented line as a continuation and skips empty
 * sections.  Each `key = value` line is passed to inih as a stream of its own.
 * A line longer than inih's buffer is passed as one line and continuation
 * lines, inih's form of a long value, and joined again here.  Headings and
 * comments are not passed to inih.
 */
#include "config/ini.h"

#include <ini.h>
#include <stdio.h>
#include <string.h>

struct reading {
	ini_item_fn *on_item;
	void *arg;
	unsigned line;
	char text[INI_LINE_MAX + 1];
};

/* One key = value line while inih parses it. */
struct pair {
	const char *rest; /* not yet passed to inih */
	size_t left;
	size_t given; /* pieces */
	size_t taken;
	bool stuck; /* no position to cut at */
	char key[INI_LINE_MAX + 1];
	char value[INI_LINE_MAX + 1];
	size_t length; /* of the value */
};

static bool
is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

static void
report_wrong(const struct reading *reading, const char *wrong)
{
	reading->on_item(reading->arg,
	    &(struct ini_item){ .line = reading->line, .wrong = wrong });
}

static char *
trim(char *text)
{
	size_t length;

	while (is_blank(*text))
		text++;
	length = strlen(text);
	while (length > 0 && is_blank(text[length - 1]))
		text[--length] = '\0';
	return text;
}

/* inih strips blanks and comments at the ends of a line, so a long line is cut
 * only between other bytes. */
static size_t
piece_length(const struct pair *pair, size_t room)
{
	const char *text = pair->rest;
	size_t n = room;

	if (pair->left <= room)
		return pair->left;
	while (n > 0 && (is_blank(text[n - 1]) || is_blank(text[n]) ||
			    strchr(";#", text[n]) != NULL))
		n--;
	return n;
}

/* inih's reader callback: fgets() of one piece. */
static char *
give_piece(char *out, int max, void *arg)
{
	struct pair *pair = arg;
	size_t n;

	if (pair->left == 0 || max < 8)
		return NULL;
	n = piece_length(pair, (size_t)max - 3);
	if (n == 0) {
		pair->stuck = true;
		return NULL;
	}
	snprintf(out, (size_t)max, "%s%.*s\n", pair->given > 0 ? " " : "",
	    (int)n, pair->rest);
	pair->rest += n;
	pair->left -= n;
	pair->given++;
	return out;
}

/* inih's handler callback: the first call has the key and the start of the
 * value, further calls the rest. */
static int
take_piece(void *arg, const char *section, const char *name, const char *value)
{
	struct pair *pair = arg;
	size_t length = strlen(value);

	(void)section;
	if (length > INI_LINE_MAX - pair->length)
		return 0;
	if (pair->taken++ == 0)
		snprintf(pair->key, sizeof(pair->key), "%s", name);
	memcpy(pair->value + pair->length, value, length + 1);
	pair->length += length;
	return 1;
}

static const char *
check_pair(const struct pair *pair, int status)
{
	if (pair->stuck)
		return "too many blanks in a row: shorten them";
	if (status != 0 || pair->taken != pair->given)
		return "this is neither \"key = value\" nor \"[section]\"";
	if (pair->key[0] == '\0')
		return "there is no key before the \"=\"";
	if (strpbrk(pair->key, " \t") != NULL)
		return "a key is one word: is there a \"=\" missing?";
	return NULL;
}

static void
read_pair(const struct reading *reading, const char *text)
{
	struct pair pair;
	const char *wrong;
	char *value;
	int status;

	/* Member by member, since clearing both buffers for each line is
	 * slow. */
	pair.rest = text;
	pair.left = strlen(text);
	pair.given = pair.taken = pair.length = 0;
	pair.stuck = false;
	pair.key[0] = pair.value[0] = '\0';
	status = ini_parse_stream(give_piece, &pair, take_piece, &pair);
	wrong = check_pair(&pair, status);
	if (wrong != NULL) {
		snprintf(pair.key, sizeof(pair.key), "%.*s",
		    (int)strcspn(text, " \t=:;"), text);
		reading->on_item(
		    reading->arg, &(struct ini_item){ .line = reading->line,
				      .wrong = wrong,
				      .word = pair.key });
		return;
	}
	value = trim(pair.value);
	/* "key =; comment": no blank is needed before a comment here. */
	if (*value == ';')
		*value = '\0';
	reading->on_item(
	    reading->arg, &(struct ini_item){ .line = reading->line,
			      .key = trim(pair.key),
			      .value = trim(pair.value) });
}

static void
read_heading(const struct reading *reading, char *text)
{
	char *end = strchr(text, ']');
	const char *name;

	if (end == NULL) {
		report_wrong(reading, "the heading has no closing \"]\"");
		return;
	}
	*end = '\0';
	if (end[1 + strspn(end + 1, " \t")] != '\0') {
		report_wrong(reading, "there is text after the \"]\"");
		return;
	}
	name = trim(text + 1);
	if (*name == '\0') {
		report_wrong(reading, "the heading has no name");
		return;
	}
	reading->on_item(reading->arg,
	    &(struct ini_item){ .line = reading->line, .section = name });
}

/* Cut a comment behind a value: ";" after a blank. */
static void
cut_comment(char *text)
{
	for (char *at = text; *at != '\0'; at++) {
		if (*at == ';' && at > text && is_blank(at[-1])) {
			*at = '\0';
			return;
		}
	}
}

/* The error for a control character in the line; NULL: none. */
static const char *
find_control(const char *text, size_t size)
{
	if (memchr(text, '\0', size) != NULL)
		return "there is a NUL byte in the line: is this a text file?";
	for (size_t i = 0; i < size; i++)
		if (((unsigned char)text[i] < ' ' && text[i] != '\t') ||
		    text[i] == 0x7f)
			return "there is a control character in the line";
	return NULL;
}

static void
read_line(struct reading *reading, const char *bytes, size_t size)
{
	const char *wrong;
	char *text;

	if (size > 0 && bytes[size - 1] == '\r')
		size--;
	if (size > INI_LINE_MAX) {
		report_wrong(reading, "the line is longer than 8192 bytes");
		return;
	}
	wrong = find_control(bytes, size);
	if (wrong != NULL) {
		report_wrong(reading, wrong);
		return;
	}
	memcpy(reading->text, bytes, size);
	reading->text[size] = '\0';
	text = trim(reading->text);
	if (*text == '\0' || *text == ';' || *text == '#')
		return;
	cut_comment(text);
	text = trim(text);
	if (*text == '[')
		read_heading(reading, text);
	else
		read_pair(reading, text);
}

void
ini_read(const char *bytes, size_t size, ini_item_fn *on_item, void *arg)
{
	struct reading reading = { .on_item = on_item, .arg = arg };
	const char *end;
	size_t length;

	if (size >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 ||
			     memcmp(bytes, "\xfe\xff", 2) == 0)) {
		reading.line = 1;
		report_wrong(&reading,
		    "this is UTF-16 text: save it as UTF-8, such as by iconv "
		    "-f UTF-16 -t UTF-8");
		return;
	}
	if (size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
		bytes += 3;
		size -= 3;
	}
	while (size > 0) {
		end = memchr(bytes, '\n', size);
		length = end != NULL ? (size_t)(end - bytes) : size;
		reading.line++;
		read_line(&reading, bytes, length);
		if (end != NULL)
			length++;
		bytes += length;
		size -= length;
	}
}
