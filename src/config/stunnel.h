/*
 * Compatibility with stunnel.conf, and hints for keys of other programs.
 */
#ifndef CONFIG_STUNNEL_H
#define CONFIG_STUNNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct parse_scope;
struct parser;
struct source;
struct statement;

/* What to write instead of a key of hitch, haproxy or nginx: "hitch's word for
 * cert".  NULL: not such a key.  Any thread. */
const char *stunnel_foreign_hint(const char *key);

/* true: "yes" in any of stunnel's spellings. */
bool stunnel_is_yes(const char *value);

/* true: the text of a main file is stunnel's, by its path or its keys.  Used
 * before includes are read. */
bool stunnel_is_text(const char *path, const char *bytes, size_t size);

/* The same for a whole source; sets parser->stunnel_reason. */
bool stunnel_detect(struct parser *parser, const struct source *source);

/* Set the defaults of stunnel and add the notes about differences. */
void stunnel_set_defaults(struct parser *parser);

/* Apply a statement whose key is not in the schema: translate, ignore or
 * refuse it. */
void stunnel_apply(
    const struct parse_scope *scope, const struct statement *statement);

/* Name the second service "a" "a#2": stunnel permits duplicate names, but here
 * a name identifies a listener over reloads.  false: no memory. */
bool stunnel_number_services(const struct parser *parser) MUST_CHECK;

#endif
