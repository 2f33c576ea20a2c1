/*
 * What a section is by its heading, or, if it is a stunnel service, by what
 * it holds.  Pure but for the errors it reports.  Main thread.
 */
#ifndef CONFIG_HEADING_H
#define CONFIG_HEADING_H

#include "config/schema.h"

struct diagnostics;
struct section;

enum heading {
	HEADING_TOP, /* before any section */
	HEADING_GLOBAL,
	HEADING_LOG,
	HEADING_TLS,
	HEADING_OCSP,
	HEADING_LISTENER, /* [listener NAME] */
	HEADING_SERVICE,  /* [NAME] with accept and connect */
	HEADING_HOST,     /* [host LISTENER PATTERN] */
	HEADING_SNI,      /* [NAME] with sni = SERVICE:PATTERN */
	HEADING_NONE      /* no section of ours: heading_refuse */
};

/* Is this the heading of a section that stunnel does not have? */
bool heading_is_ours(const char *name);

/* The memo may be NULL. */
enum heading heading_of(
    const struct section *section, struct schema_memo *memo);

/* Is this a listener by either name; is it a host? */
bool heading_is_listener(enum heading heading);
bool heading_is_host(enum heading heading);

/* What stands behind the first word of the heading, and that of stunnel's
 * service: the name of a listener, or a host's LISTENER PATTERN. */
const char *heading_name(const struct section *section, enum heading heading);

/* Where and how stunnel says which host a service is; NULL: nowhere. */
const struct statement *heading_sni(const struct section *section);

/* The sentence for a section of none of these kinds. */
void heading_refuse(struct diagnostics *diag, const struct section *section);

#endif
