/*
 * Names of hosts and clients as a configuration may write them.  Pure
 * functions; any thread.
 */
#ifndef CONFIG_PATTERN_H
#define CONFIG_PATTERN_H

#include <stdbool.h>

#include "base/attr.h"

struct err;

#define PATTERN_NAME_MAX 253 /* RFC 1035 section 2.3.4, without the last dot */

/*
 * "Www.Example.org." as "www.example.org", "*.Example.org" as
 * "*.example.org": lower case, without the last dot.  false: it is no name
 * that a client could ask for, and *err says what to write instead.
 */
bool pattern_normalise(char out[PATTERN_NAME_MAX + 1], const char *text,
    struct err *err) MUST_CHECK;

/* One of allow_san: "dns:" (or nothing), "email:", "uri:" or "ip:", and what
 * fits to it.  false: *err. */
bool pattern_check_san(const char *text, struct err *err) MUST_CHECK;

#endif
